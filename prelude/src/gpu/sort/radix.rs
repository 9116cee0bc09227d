//! The radix sort of wide devices.
//!
//! Each pass has three steps. `digits` counts how often each of the 16 digits occurs in each tile. A running sum over these
//! counts, all tiles of digit 0 first, says where each tile's elements of each digit go. `move_tile` finds an element's rank
//! among those of its digit in the tile: each work item counts the digits of its own elements, which lie one after the other,
//! a running sum over (digit, work item) gives each item its first rank, and so equal digits keep their order.

use super::super::Numeric;
use super::super::array::Array;
use super::super::device::Device;
use super::super::element::{ElementType, Scalar};
use super::super::error::GpuResult;
use super::super::order::{Order, OrderKind};
use super::super::program::{Given, Grid};
use super::super::text::type_name;

/// Elements of one work item.
const ITEMS: usize = 8;
const DIGITS: usize = 16;

const KERNELS: &str = r"
#define TILE (GROUP * ITEMS)

KERNEL void digits(GLOBAL const T *x, u64 x_offset, u64 n, u32 shift, u64 flip, u64 tiles, GLOBAL u32 *counts) {
    LOCAL u32 count[DIGITS];
    u32 me = (u32)LOCAL_ID(0);
    u64 tile = GROUP_ID(0);
    for (u32 d = me; d < DIGITS; d += GROUP) count[d] = 0;
    BARRIER;
    for (u32 r = 0; r < ITEMS; r++) {
        u64 i = tile * TILE + r * GROUP + me;
        if (i < n) ATOMIC_ADD(&count[DIGIT(x[x_offset + i])], 1);
    }
    BARRIER;
    for (u32 d = me; d < DIGITS; d += GROUP) counts[d * tiles + tile] = count[d];
}

KERNEL void move_tile(GLOBAL const T *x, u64 x_offset, u64 n, u32 shift, u64 flip, u64 tiles, GLOBAL const u64 *starts,
                      GLOBAL T *out PLACES_PARAMETERS) {
    LOCAL T item[TILE];
    // Of digit d and work item w the count, then the first rank, lies at d * GROUP + w.
    LOCAL u32 rank[DIGITS * GROUP];
    LOCAL u32 sums[GROUP];
    u32 me = (u32)LOCAL_ID(0);
    u64 tile = GROUP_ID(0);
    u64 first = tile * TILE;
    u32 here = n - first < TILE ? (u32)(n - first) : TILE;
    for (u32 r = 0; r < ITEMS; r++) {
        u32 at = r * GROUP + me;
        if (at < here) item[at] = x[x_offset + first + at];
    }
    for (u32 d = 0; d < DIGITS; d++) rank[d * GROUP + me] = 0;
    BARRIER;
    for (u32 r = 0; r < ITEMS; r++) {
        u32 at = me * ITEMS + r;
        if (at < here) rank[DIGIT(item[at]) * GROUP + me]++;
    }
    BARRIER;
    // A running sum over all of `rank`: each work item has DIGITS entries that lie one after the other.
    u32 mine = 0;
    for (u32 r = 0; r < DIGITS; r++) mine += rank[me * DIGITS + r];
    sums[me] = mine;
    BARRIER;
    for (u32 reach = 1; reach < GROUP; reach *= 2) {
        u32 left = 0;
        if (me >= reach) left = sums[me - reach];
        BARRIER;
        sums[me] += left;
        BARRIER;
    }
    u32 before = sums[me] - mine;
    for (u32 r = 0; r < DIGITS; r++) {
        u32 count = rank[me * DIGITS + r];
        rank[me * DIGITS + r] = before;
        before += count;
    }
    BARRIER;
    // The first rank of each digit in the tile, before the ranks are counted on.
    if (me < DIGITS) sums[me] = rank[me * GROUP];
    BARRIER;
    for (u32 r = 0; r < ITEMS; r++) {
        u32 at = me * ITEMS + r;
        if (at < here) {
            u32 d = DIGIT(item[at]);
            u32 place = rank[d * GROUP + me]++;
            u64 to = starts[d * tiles + tile] + (place - sums[d]);
            out[to] = item[at];
            MOVE_PLACE
        }
    }
}
";

/// The bits of an element in ascending order, by C's expressions.
fn order_bits(element: ElementType) -> &'static str {
    match element {
        ElementType::I32 => "DEVICE u64 bits(i32 x) { return (u64)((u32)x ^ 0x80000000u); }\n",
        ElementType::I64 => "DEVICE u64 bits(i64 x) { return (u64)x ^ ((u64)1 << 63); }\n",
        ElementType::F32 => {
            "DEVICE u64 bits(u32 b) {\n    if ((b & 0x7fffffffu) > 0x7f800000u) return 0xffffffffu;\n    \
             if (b == 0x80000000u) b = 0;\n    return (b >> 31) ? ~b : (b | 0x80000000u);\n}\n"
        }
        ElementType::F64 => {
            "DEVICE u64 bits(u64 b) {\n    u64 sign = (u64)1 << 63;\n    \
             if ((b & ~sign) > ((u64)0x7ff << 52)) return ~(u64)0;\n    if (b == sign) b = 0;\n    \
             return (b >> 63) ? ~b : (b | sign);\n}\n"
        }
        ElementType::U64 => "DEVICE u64 bits(u64 x) { return x; }\n",
        _ => "DEVICE u64 bits(u32 x) { return x; }\n",
    }
}

/// The sorted elements, and where they were before if that is wanted. The array is contiguous.
pub(super) fn sort<T: Numeric>(
    array: &Array<T>,
    is_descending: bool,
    with_places: bool,
) -> GpuResult<(Array<T>, Option<Array<u64>>)> {
    let (device, n) = (array.device(), array.len());
    if n == 0 {
        return Ok((array.clone(), None));
    }
    // Half the group of other kernels: three arrays of local memory have to find room.
    let group = device.group().clamp(DIGITS, 128);
    let passes = T::TYPE.size() * 2;
    // Numbers with a point are moved as their bits.
    let t = match T::TYPE {
        ElementType::F32 => "u32",
        ElementType::F64 => "u64",
        other => type_name(other),
    };
    let (parameters, moved) = match with_places {
        true => (
            ", u64 has_places, GLOBAL const u64 *from, GLOBAL u64 *places",
            "places[to] = has_places ? from[first + at] : first + at;",
        ),
        false => ("", ""),
    };
    let text = format!(
        "typedef {t} T;\n#define GROUP {group}\n#define ITEMS {ITEMS}\n#define DIGITS {DIGITS}\n{}\
         #define DIGIT(x) ((u32)((bits(x) ^ flip) >> shift) & 15u)\n#define PLACES_PARAMETERS {parameters}\n\
         #define MOVE_PLACE {moved}\n{KERNELS}",
        order_bits(T::TYPE),
    );
    let module = device.program("sort", &text)?;
    let (count, shuffle) = (module.kernel("digits")?, module.kernel("move_tile")?);
    let tiles = n.div_ceil(group * ITEMS);
    let grid = Grid::groups(tiles, group);
    let counts = Array::<u32>::empty(device, DIGITS * tiles)?;
    let number = |n: u64| Given::Scalar(Scalar::U64(n));
    let flip = if is_descending { u64::MAX } else { 0 };
    let (mut from, mut places) = (array.clone(), None::<Array<u64>>);
    let (mut spare, mut spare_places) = (None, None);
    let none = Array::<u64>::empty(device, 0)?;
    for pass in 0..passes {
        let common = [
            Given::Buffer(&from.buffer),
            number(from.offset as u64),
            number(n as u64),
            Given::Scalar(Scalar::U32(pass as u32 * 4)),
            number(flip),
            number(tiles as u64),
        ];
        let mut given = common.to_vec();
        given.push(Given::Buffer(&counts.buffer));
        let order = |bytes: usize| {
            move || Order::new(OrderKind::Kernel, "sort", bytes).with_operations(n as u64)
        };
        let bytes = n * T::TYPE.size();
        count.launch(&device.stream()?, grid, 0, &given, order(bytes))?;
        let starts = starts(device, &counts)?;
        let out = taken(device, &mut spare, n)?;
        let out_places = match with_places {
            true => Some(taken(device, &mut spare_places, n)?),
            false => None,
        };
        let mut given = common.to_vec();
        given.extend([Given::Buffer(&starts.buffer), Given::Buffer(&out.buffer)]);
        let mut moved = 2 * bytes;
        if let Some(out_places) = &out_places {
            given.extend([
                number(u64::from(places.is_some())),
                Given::Buffer(&places.as_ref().unwrap_or(&none).buffer),
                Given::Buffer(&out_places.buffer),
            ]);
            moved += 16 * n;
        }
        shuffle.launch(&device.stream()?, grid, 0, &given, order(moved))?;
        // What was read is written to in the next pass; the caller's array never.
        let before = std::mem::replace(&mut from, out);
        if pass > 0 {
            spare = Some(before);
        }
        spare_places = std::mem::replace(&mut places, out_places);
    }
    Ok((from, places))
}

fn taken<T: Numeric>(
    device: Device,
    spare: &mut Option<Array<T>>,
    n: usize,
) -> GpuResult<Array<T>> {
    match spare.take() {
        Some(array) => Ok(array),
        None => Array::empty(device, n),
    }
}

/// Where the elements of each digit and tile go.
fn starts(device: Device, counts: &Array<u32>) -> GpuResult<Array<u64>> {
    use super::super::operation::Operation;
    use super::super::scan::Scan;
    use super::super::values::Source;
    let scan = Scan {
        name: "sort_starts",
        combine: &Operation::Sum.text(ElementType::U64),
        constants: &[],
        identity: 0_u64,
    };
    Ok(scan.exclusive(device, &Source::of(counts))?.0)
}
