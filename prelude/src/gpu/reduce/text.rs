//! The kernels of reductions, for narrow and for wide devices.

use super::super::manner::Manner;
use super::super::values::Source;
use super::BLOCK;

/// Columns that a piece of a narrow device takes together.
pub(super) const TILE: usize = 128;

const NARROW: &str = r"
// The values first..end, in lanes that the compiler makes vectors of.
#define TOTAL_OF(total, first, end) { \
    A lane[LANES]; \
    for (int l = 0; l < LANES; l++) lane[l] = identity; \
    u64 k = (first); \
    for (; k + LANES <= (end); k += LANES) \
        for (int l = 0; l < LANES; l++) lane[l] = combine(lane[l], LOAD(k + l)); \
    for (int h = LANES / 2; h > 0; h /= 2) \
        for (int l = 0; l < h; l++) lane[l] = combine(lane[l], lane[l + h]); \
    total = lane[0]; \
    for (; k < (end); k++) total = combine(total, LOAD(k)); }

// Totals of blocks are joined like the carries of a binary counter: neighbours first, so that errors of rounding stay small.
#define TOTAL_OF_BLOCKS(total, first, end) { \
    A level[56]; \
    u64 done = 0; \
    for (u64 start = (first); start < (end); start += BLOCK) { \
        u64 stop = start + BLOCK < (end) ? start + BLOCK : (end); \
        A block; \
        TOTAL_OF(block, start, stop); \
        int place = 0; \
        for (; (done >> place) & 1; place++) block = combine(level[place], block); \
        level[place] = block; \
        done++; \
    } \
    total = identity; \
    for (int place = 0; done >> place; place++) \
        if ((done >> place) & 1) total = combine(level[place], total); }

KERNEL void reduce(PARAMETERS u64 n, A identity, GLOBAL A *out) {
    u64 blocks = (n + BLOCK - 1) / BLOCK;
    u64 first = blocks * GLOBAL_ID(0) / GLOBAL_SIZE(0) * BLOCK;
    u64 end = blocks * (GLOBAL_ID(0) + 1) / GLOBAL_SIZE(0) * BLOCK;
    if (end > n) end = n;
    A total;
    TOTAL_OF_BLOCKS(total, first, end);
    out[GLOBAL_ID(0)] = total;
}

// Segments of rows of `length` values.
KERNEL void reduce_rows(PARAMETERS u64 outer, u64 length, u64 inner, u64 segments, A identity, GLOBAL A *out) {
    u64 n = outer * segments;
    u64 end = n * (GLOBAL_ID(0) + 1) / GLOBAL_SIZE(0);
    for (u64 q = n * GLOBAL_ID(0) / GLOBAL_SIZE(0); q < end; q++) {
        u64 row = q / segments, s = q % segments;
        A total;
        TOTAL_OF_BLOCKS(total, row * length + length * s / segments, row * length + length * (s + 1) / segments);
        out[q] = total;
    }
}

// Segments of columns: `inner` of them lie side by side.
KERNEL void reduce_columns(PARAMETERS u64 outer, u64 length, u64 inner, u64 segments, A identity, GLOBAL A *out) {
    u64 tiles = (inner + TILE - 1) / TILE;
    u64 n = outer * segments * tiles;
    u64 end = n * (GLOBAL_ID(0) + 1) / GLOBAL_SIZE(0);
    for (u64 q = n * GLOBAL_ID(0) / GLOBAL_SIZE(0); q < end; q++) {
        u64 j = q % tiles * TILE, s = q / tiles % segments, o = q / tiles / segments;
        int width = inner - j < TILE ? (int)(inner - j) : TILE;
        A total[TILE], block[TILE];
        for (int l = 0; l < width; l++) total[l] = identity;
        u64 stop = length * (s + 1) / segments;
        for (u64 k = length * s / segments; k < stop;) {
            for (int l = 0; l < width; l++) block[l] = identity;
            u64 pause = k + 64 < stop ? k + 64 : stop;
            for (; k < pause; k++) {
                u64 at = (o * length + k) * inner + j;
                for (int l = 0; l < width; l++) block[l] = combine(block[l], LOAD(at + l));
            }
            for (int l = 0; l < width; l++) total[l] = combine(total[l], block[l]);
        }
        for (int l = 0; l < width; l++) out[(o * segments + s) * inner + j + l] = total[l];
    }
}
";

const WIDE: &str = r"
// The values at, at + step, … below end. Blocks are summed apart, so that errors of rounding stay small.
#define TOTAL_OF(total, at, step, end) { \
    total = identity; \
    u64 k = (at); \
    while (k < (end)) { \
        A block = identity; \
        for (int round = 0; round < 8 && k < (end); round++) { \
            if (k + 3 * (step) < (end)) { \
                A p = LOAD(k); A q = LOAD(k + (step)); A r = LOAD(k + 2 * (step)); A s = LOAD(k + 3 * (step)); \
                block = combine(block, combine(combine(p, q), combine(r, s))); \
                k += 4 * (step); \
            } else { \
                block = combine(block, LOAD(k)); \
                k += (step); \
            } \
        } \
        total = combine(total, block); \
    } }

KERNEL void reduce(PARAMETERS u64 n, A identity, GLOBAL A *out) {
    LOCAL A shared[GROUP];
    u32 me = LOCAL_ID(0);
    A total;
    TOTAL_OF(total, GLOBAL_ID(0), (u64)GLOBAL_SIZE(0), n);
    shared[me] = total;
    BARRIER;
    for (u32 reach = GROUP / 2; reach > 0; reach /= 2) {
        if (me < reach) shared[me] = combine(shared[me], shared[me + reach]);
        BARRIER;
    }
    if (me == 0) out[GROUP_ID(0)] = shared[0];
}

// A segment of an axis is every `segments`-th of its values: so neighbours read neighbours, whatever lies inside the axis.
KERNEL void reduce_axis(PARAMETERS u64 outer, u64 length, u64 inner, u64 segments, A identity, GLOBAL A *out) {
    u64 n = outer * segments * inner;
    for (u64 q = GLOBAL_ID(0); q < n; q += GLOBAL_SIZE(0)) {
        u64 j = q % inner, s = q / inner % segments, o = q / inner / segments;
        u64 first = o * length * inner + j;
        A total;
        TOTAL_OF(total, first + s * inner, segments * inner, first + length * inner);
        out[q] = total;
    }
}
";

/// The kernels of a reduction. `combine` defines the type `A` and the function `combine`.
pub(super) fn text(manner: Manner, group: usize, combine: &str, source: &Source<'_>) -> String {
    let sizes = match manner {
        Manner::Wide => format!("#define GROUP {group}\n"),
        _ => format!("#define BLOCK {BLOCK}\n#define LANES 32\n#define TILE {TILE}\n"),
    };
    let kernels = match manner {
        Manner::Wide => WIDE,
        _ => NARROW,
    };
    format!(
        "{sizes}{combine}{}#define PARAMETERS {}\n#define LOAD(i) ((A)({}))\n{kernels}",
        source.declarations, source.parameters, source.load,
    )
}
