//! The kernels of matrix products.

use super::super::element::ElementType;
use super::super::manner::Manner;

/// Columns (of four-byte elements; half as many of eight) that a narrow device calculates together: one cache line.
const LINE: usize = 64;

/// A piece has some rows and one panel of columns. The panel's part of `b` is brought to private memory, where its rows lie
/// one after the other; then six rows at a time are kept in vectors.
const NARROW: &str = r"
#define ROW(r) \
    u64 at##r = a_offset + (i + r) * k + p0; \
    V sum##r = (V)(0);

#define STEP(r) sum##r += (V)(a[at##r + p]) * line;

#define STORE(r) { \
    GLOBAL T *to = c + (i + r) * n + j0; \
    if (width == NR) { \
        if (p0 > 0) sum##r += VLOAD(0, to); \
        VSTORE(sum##r, 0, to); \
    } else { \
        T rest[NR]; \
        VSTORE(sum##r, 0, rest); \
        for (u32 l = 0; l < width; l++) to[l] = p0 > 0 ? to[l] + rest[l] : rest[l]; \
    } }

KERNEL void matmul(GLOBAL const T *a, u64 a_offset, GLOBAL const T *b, u64 b_offset, GLOBAL T *c,
                   u64 m, u64 n, u64 k, u64 rows) {
    T panel[DEPTH * NR];
    u64 panels = (n + NR - 1) / NR;
    u64 units = panels * ((m + rows - 1) / rows);
    u64 stop = units * (GLOBAL_ID(0) + 1) / GLOBAL_SIZE(0);
    for (u64 q = units * GLOBAL_ID(0) / GLOBAL_SIZE(0); q < stop; q++) {
        u64 j0 = q % panels * NR, i0 = q / panels * rows;
        u64 i1 = i0 + rows < m ? i0 + rows : m;
        u32 width = n - j0 < NR ? (u32)(n - j0) : NR;
        for (u64 p0 = 0; p0 < k; p0 += DEPTH) {
            u32 depth = k - p0 < DEPTH ? (u32)(k - p0) : DEPTH;
            for (u32 p = 0; p < depth; p++) {
                GLOBAL const T *from = b + b_offset + (p0 + p) * n + j0;
                for (u32 l = 0; l < NR; l++) panel[p * NR + l] = l < width ? from[l] : (T)0;
            }
            u64 i = i0;
            for (; i + 6 <= i1; i += 6) {
                ROW(0) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5)
                for (u32 p = 0; p < depth; p++) {
                    V line = VLOAD(p, panel);
                    STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5)
                }
                STORE(0) STORE(1) STORE(2) STORE(3) STORE(4) STORE(5)
            }
            for (; i < i1; i++) {
                ROW(0)
                for (u32 p = 0; p < depth; p++) {
                    V line = VLOAD(p, panel);
                    STEP(0)
                }
                STORE(0)
            }
        }
    }
}

KERNEL void matvec(GLOBAL const T *a, u64 a_offset, GLOBAL const T *b, u64 b_offset, GLOBAL T *c, u64 m, u64 k) {
    u64 stop = m * (GLOBAL_ID(0) + 1) / GLOBAL_SIZE(0);
    for (u64 i = m * GLOBAL_ID(0) / GLOBAL_SIZE(0); i < stop; i++) {
        GLOBAL const T *row = a + a_offset + i * k, *x = b + b_offset;
        V s0 = (V)(0), s1 = (V)(0);
        u64 p = 0;
        for (; p + 2 * NR <= k; p += 2 * NR) {
            s0 += VLOAD(0, row + p) * VLOAD(0, x + p);
            s1 += VLOAD(0, row + p + NR) * VLOAD(0, x + p + NR);
        }
        T lane[NR];
        VSTORE(s0 + s1, 0, lane);
        T sum = 0;
        for (u32 l = 0; l < NR; l++) sum += lane[l];
        for (; p < k; p++) sum += row[p] * x[p];
        c[i] = sum;
    }
}
";

/// A group calculates a square tile: parts of both matrices are brought to local memory, and each work item keeps R × R
/// sums, of rows and columns that lie a group's edge apart, so that neighbours read and write neighbours.
const WIDE: &str = r"
#define TILE (EDGE * R)

KERNEL void matmul(GLOBAL const T *a, u64 a_offset, GLOBAL const T *b, u64 b_offset, GLOBAL T *c,
                   u64 m, u64 n, u64 k, u64 tiles) {
    LOCAL T part_a[EDGE][TILE + 1];
    LOCAL T part_b[EDGE][TILE];
    u32 me = (u32)LOCAL_ID(0);
    u32 x = me % EDGE, y = me / EDGE;
    u64 row0 = GROUP_ID(0) / tiles * TILE, column0 = GROUP_ID(0) % tiles * TILE;
    T sum[R][R];
    for (u32 r = 0; r < R; r++)
        for (u32 s = 0; s < R; s++) sum[r][s] = 0;
    for (u64 p = 0; p < k; p += EDGE) {
        for (u32 r = 0; r < R; r++) {
            u64 i = row0 + y + r * EDGE, j = column0 + x + r * EDGE;
            T from_a = 0, from_b = 0;
            if (i < m && p + x < k) from_a = a[a_offset + i * k + p + x];
            if (j < n && p + y < k) from_b = b[b_offset + (p + y) * n + j];
            part_a[x][y + r * EDGE] = from_a;
            part_b[y][x + r * EDGE] = from_b;
        }
        BARRIER;
        for (u32 q = 0; q < EDGE; q++) {
            T line[R];
            for (u32 s = 0; s < R; s++) line[s] = part_b[q][x + s * EDGE];
            for (u32 r = 0; r < R; r++) {
                T factor = part_a[q][y + r * EDGE];
                for (u32 s = 0; s < R; s++) sum[r][s] += factor * line[s];
            }
        }
        BARRIER;
    }
    for (u32 r = 0; r < R; r++) {
        u64 i = row0 + y + r * EDGE;
        for (u32 s = 0; s < R; s++) {
            u64 j = column0 + x + s * EDGE;
            if (i < m && j < n) c[i * n + j] = sum[r][s];
        }
    }
}

// A group for each row, in turns.
KERNEL void matvec(GLOBAL const T *a, u64 a_offset, GLOBAL const T *b, u64 b_offset, GLOBAL T *c, u64 m, u64 k) {
    LOCAL T sums[EDGE * EDGE];
    u32 me = (u32)LOCAL_ID(0);
    for (u64 i = GROUP_ID(0); i < m; i += N_GROUPS(0)) {
        T sum = 0;
        for (u64 p = me; p < k; p += EDGE * EDGE) sum += a[a_offset + i * k + p] * b[b_offset + p];
        sums[me] = sum;
        BARRIER;
        for (u32 reach = EDGE * EDGE / 2; reach > 0; reach /= 2) {
            if (me < reach) sums[me] += sums[me + reach];
            BARRIER;
        }
        if (me == 0) c[i] = sums[0];
        BARRIER;
    }
}
";

/// The kernels for a type; `edge` × `edge` work items are a group, each with `per_item` × `per_item` sums.
pub(super) fn text(manner: Manner, element: ElementType, edge: usize, per_item: usize) -> String {
    // Unsigned integers wrap as signed ones do, and C defines it.
    let t = match element {
        ElementType::F32 => "f32",
        ElementType::F64 => "f64",
        ElementType::I64 | ElementType::U64 => "u64",
        _ => "u32",
    };
    if manner == Manner::Wide {
        return format!("typedef {t} T;\n#define EDGE {edge}\n#define R {per_item}\n{WIDE}");
    }
    let native = match element {
        ElementType::F32 => "float",
        ElementType::F64 => "double",
        ElementType::I64 | ElementType::U64 => "ulong",
        _ => "uint",
    };
    let n = LINE / element.size();
    format!(
        "typedef {t} T;\ntypedef {native}{n} V;\n#define VLOAD vload{n}\n#define VSTORE vstore{n}\n#define NR {n}\n\
         #define DEPTH 256\n{NARROW}"
    )
}
