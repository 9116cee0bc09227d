//! The kernels of scans, for narrow and for wide devices.

use super::super::manner::Manner;
use super::super::values::Source;

/// Values of one work item of a group: odd, so that neighbours use different banks of the local memory.
pub(super) const ITEMS: usize = 7;

const NARROW: &str = r"
KERNEL void scan_totals(PARAMETERS u64 n, A identity, GLOBAL A *totals) {
    u64 i = n * GLOBAL_ID(0) / GLOBAL_SIZE(0), end = n * (GLOBAL_ID(0) + 1) / GLOBAL_SIZE(0);
    A total = identity;
    for (; i + 8 <= end; i += 8) {
        A a = combine(combine(LOAD(i), LOAD(i + 1)), combine(LOAD(i + 2), LOAD(i + 3)));
        A b = combine(combine(LOAD(i + 4), LOAD(i + 5)), combine(LOAD(i + 6), LOAD(i + 7)));
        total = combine(total, combine(a, b));
    }
    for (; i < end; i++) total = combine(total, LOAD(i));
    totals[GLOBAL_ID(0)] = total;
}

KERNEL void scan_write(PARAMETERS EMIT_PARAMETERS u64 n, A identity, u64 has_carries, GLOBAL const A *carries, GLOBAL A *sum) {
    u64 i = n * GLOBAL_ID(0) / GLOBAL_SIZE(0), end = n * (GLOBAL_ID(0) + 1) / GLOBAL_SIZE(0);
    A before = has_carries ? carries[GLOBAL_ID(0)] : identity;
    // Of eight values only the last step waits for the eight before.
    for (; i + 8 <= end; i += 8) {
        A x0 = LOAD(i), x1 = LOAD(i + 1), x2 = LOAD(i + 2), x3 = LOAD(i + 3);
        A x4 = LOAD(i + 4), x5 = LOAD(i + 5), x6 = LOAD(i + 6), x7 = LOAD(i + 7);
        A a1 = combine(x0, x1), a2 = combine(a1, x2), a3 = combine(a1, combine(x2, x3));
        A b1 = combine(x4, x5), a5 = combine(a3, b1);
        EMIT(i, before, x0);
        EMIT(i + 1, combine(before, x0), x1);
        EMIT(i + 2, combine(before, a1), x2);
        EMIT(i + 3, combine(before, a2), x3);
        EMIT(i + 4, combine(before, a3), x4);
        EMIT(i + 5, combine(before, combine(a3, x4)), x5);
        EMIT(i + 6, combine(before, a5), x6);
        EMIT(i + 7, combine(before, combine(a5, x6)), x7);
        before = combine(before, combine(a3, combine(b1, combine(x6, x7))));
    }
    for (; i < end; i++) {
        A item = LOAD(i);
        EMIT(i, before, item);
        before = combine(before, item);
    }
    if (GLOBAL_ID(0) + 1 == GLOBAL_SIZE(0)) sum[0] = before;
}
";

const WIDE: &str = r"
#define TILE (GROUP * ITEMS)

// Brings a tile to local memory and leaves in `sums` what each work item's values and all before them in the tile come to.
#define SUMS_OF_TILE \
    LOCAL A shared[TILE]; \
    LOCAL A sums[GROUP]; \
    u32 me = LOCAL_ID(0); \
    u64 tile = GROUP_ID(0); \
    A value[ITEMS]; \
    for (u32 r = 0; r < ITEMS; r++) { \
        u64 i = tile * TILE + r * GROUP + me; \
        value[r] = identity; \
        if (i < n) value[r] = LOAD(i); \
        shared[r * GROUP + me] = value[r]; \
    } \
    BARRIER; \
    A mine = shared[me * ITEMS]; \
    for (u32 r = 1; r < ITEMS; r++) mine = combine(mine, shared[me * ITEMS + r]); \
    sums[me] = mine; \
    BARRIER; \
    for (u32 reach = 1; reach < GROUP; reach *= 2) { \
        A left = identity; \
        if (me >= reach) left = sums[me - reach]; \
        BARRIER; \
        if (me >= reach) sums[me] = combine(left, sums[me]); \
        BARRIER; \
    }

KERNEL void scan_totals(PARAMETERS u64 n, A identity, GLOBAL A *totals) {
    SUMS_OF_TILE
    if (me == GROUP - 1) totals[tile] = sums[me];
}

KERNEL void scan_write(PARAMETERS EMIT_PARAMETERS u64 n, A identity, u64 has_carries, GLOBAL const A *carries, GLOBAL A *sum) {
    SUMS_OF_TILE
    A carry = identity;
    if (has_carries) carry = carries[tile];
    if (me == GROUP - 1 && tile + 1 == N_GROUPS(0)) sum[0] = combine(carry, sums[me]);
    A before = carry;
    if (me > 0) before = combine(carry, sums[me - 1]);
    for (u32 r = 0; r < ITEMS; r++) {
        A item = shared[me * ITEMS + r];
        shared[me * ITEMS + r] = before;
        before = combine(before, item);
    }
    BARRIER;
    for (u32 r = 0; r < ITEMS; r++) {
        u64 i = tile * TILE + r * GROUP + me;
        if (i < n) { EMIT(i, shared[r * GROUP + me], value[r]); }
    }
}
";

/// What is done with each value: `before` is what came before it, `value` itself.
pub(super) struct Emit<'a> {
    /// Parameters, each with a comma after it.
    pub parameters: String,
    /// A statement of `i`, `before` and `value`.
    pub statement: &'a str,
}

pub(super) fn text(
    manner: Manner,
    group: usize,
    combine: &str,
    source: &Source<'_>,
    emit: &Emit<'_>,
) -> String {
    let (sizes, kernels) = match manner {
        Manner::Wide => (
            format!("#define GROUP {group}\n#define ITEMS {ITEMS}\n"),
            WIDE,
        ),
        _ => (String::new(), NARROW),
    };
    format!(
        "{sizes}{combine}{}#define PARAMETERS {}\n#define LOAD(i) ((A)({}))\n#define EMIT_PARAMETERS {}\n\
         #define EMIT(i, before, value) {}\n{kernels}",
        source.declarations, source.parameters, source.load, emit.parameters, emit.statement,
    )
}
