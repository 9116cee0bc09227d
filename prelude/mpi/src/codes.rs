//! Between the table's codes and MPI's: ranks, tags, handles, data types, operators, error classes.
//!
//! MAXLOC and MINLOC are operators of our own over pairs of a number and a 64-bit place: the standard's pairs know
//! `int` places only, and no 64-bit whole numbers.

use std::ffi::{c_int, c_void};
use std::sync::{Mutex, PoisonError};

use mpi::ffi;

use crate::table::{ANY, Handle, Located, NO_PROCESS, NONE, class as classes, data, operator};

/// A handle of MPI: a pointer in one library, an `int` in another.
pub trait Raw: Copy {
    /// The number that the prelude knows it by. 0 is the null handle.
    fn number(self) -> Handle {
        const { assert!(size_of::<Self>() <= size_of::<Handle>()) };
        if self.is_null() {
            return 0;
        }
        let mut number = 0;
        // SAFETY: the handle is plain data and no larger than the number.
        unsafe {
            std::ptr::copy_nonoverlapping(
                (&raw const self).cast::<u8>(),
                (&raw mut number).cast(),
                size_of::<Self>(),
            );
        }
        number
    }

    /// The handle with a number that [`number`](Self::number) gave.
    fn of(number: Handle) -> Self {
        if number == 0 {
            return Self::null();
        }
        // SAFETY: the first bytes of the number are the handle, as `number` put them there.
        unsafe { std::mem::transmute_copy(&number) }
    }

    fn null() -> Self;
    fn is_null(self) -> bool;
}

macro_rules! raw {
    ($($handle:ident $null:ident),*) => {
        $(impl Raw for ffi::$handle {
            fn null() -> Self {
                // SAFETY: a constant of the shim.
                unsafe { ffi::$null }
            }

            fn is_null(self) -> bool {
                self == Self::null()
            }
        })*
    };
}

raw!(
    MPI_Comm RSMPI_COMM_NULL, MPI_Group RSMPI_GROUP_NULL,
    MPI_Request RSMPI_REQUEST_NULL, MPI_Message RSMPI_MESSAGE_NULL,
    MPI_Win RSMPI_WIN_NULL, MPI_File RSMPI_FILE_NULL
);

/// MPI's rank for one of the prelude.
pub fn rank(rank: i32) -> c_int {
    // SAFETY: constants of the shim.
    unsafe {
        match rank {
            NO_PROCESS => ffi::RSMPI_PROC_NULL,
            ANY => ffi::RSMPI_ANY_SOURCE,
            // MPI's own codes are negative: a wrong rank must not be taken for one of them.
            rank if rank < 0 => c_int::MAX,
            rank => rank,
        }
    }
}

/// The prelude's rank for one of MPI.
pub fn rank_back(rank: c_int) -> i32 {
    // SAFETY: constants of the shim.
    unsafe {
        if rank == ffi::RSMPI_PROC_NULL {
            NO_PROCESS
        } else if rank == ffi::RSMPI_ANY_SOURCE {
            ANY
        } else if rank == ffi::RSMPI_UNDEFINED {
            NONE
        } else {
            rank
        }
    }
}

/// MPI's tag for one of the prelude.
pub fn tag(tag: i32) -> c_int {
    // SAFETY: constants of the shim.
    unsafe {
        match tag {
            ANY => ffi::RSMPI_ANY_TAG,
            // As for ranks; no tag is as low.
            tag if tag < 0 => c_int::MIN,
            tag => tag,
        }
    }
}

/// MPI's colour for one of the prelude.
pub fn color(color: i32) -> c_int {
    if color == NONE {
        // SAFETY: a constant of the shim.
        unsafe { ffi::RSMPI_UNDEFINED }
    } else {
        color
    }
}

pub fn class(class: c_int) -> u32 {
    match u32::try_from(class).unwrap_or(u32::MAX) {
        ffi::MPI_ERR_TRUNCATE => classes::TRUNCATE,
        ffi::MPI_ERR_RANK => classes::RANK,
        ffi::MPI_ERR_TAG => classes::TAG,
        ffi::MPI_ERR_COUNT => classes::COUNT,
        ffi::MPI_ERR_ROOT => classes::ROOT,
        ffi::MPI_ERR_BUFFER => classes::BUFFER,
        ffi::MPI_ERR_OP => classes::OPERATOR,
        ffi::MPI_ERR_DIMS => classes::DIMENSIONS,
        ffi::MPI_ERR_TOPOLOGY => classes::TOPOLOGY,
        ffi::MPI_ERR_WIN => classes::WINDOW,
        ffi::MPI_ERR_NO_SUCH_FILE => classes::NO_SUCH_FILE,
        ffi::MPI_ERR_FILE_EXISTS => classes::FILE_EXISTS,
        ffi::MPI_ERR_BAD_FILE => classes::BAD_FILE,
        ffi::MPI_ERR_ACCESS | ffi::MPI_ERR_READ_ONLY => classes::ACCESS,
        ffi::MPI_ERR_NO_SPACE | ffi::MPI_ERR_QUOTA => classes::NO_SPACE,
        ffi::MPI_ERR_IO | ffi::MPI_ERR_FILE => classes::IO,
        _ => classes::OTHER,
    }
}

/// MPI's data type; the null type, which every call refuses, for a code that means none.
pub fn datatype(code: u32) -> ffi::MPI_Datatype {
    // SAFETY: constants of the shim.
    unsafe {
        match code {
            data::U8 => ffi::RSMPI_UINT8_T,
            data::I8 => ffi::RSMPI_INT8_T,
            data::U16 => ffi::RSMPI_UINT16_T,
            data::I16 => ffi::RSMPI_INT16_T,
            data::U32 => ffi::RSMPI_UINT32_T,
            data::I32 => ffi::RSMPI_INT32_T,
            data::U64 => ffi::RSMPI_UINT64_T,
            data::I64 => ffi::RSMPI_INT64_T,
            data::F32 => ffi::RSMPI_FLOAT,
            data::F64 => ffi::RSMPI_DOUBLE,
            code if code >= data::LOCATED => pair(),
            _ => ffi::RSMPI_DATATYPE_NULL,
        }
    }
}

/// What was made once: the type of pairs, the operators. They live as long as MPI.
struct Made {
    pair: Option<ffi::MPI_Datatype>,
    operators: Vec<((u32, u32), ffi::MPI_Op)>,
}

// SAFETY: MPI's handles may be used by any thread (MPI_THREAD_MULTIPLE).
unsafe impl Send for Made {}

static MADE: Mutex<Made> = Mutex::new(Made {
    pair: None,
    operators: Vec::new(),
});

/// Sixteen bytes: every `Located` of a number has a place of 8 bytes, aligned to 8, and a number of at most 8.
fn pair() -> ffi::MPI_Datatype {
    const SIZE: usize = size_of::<Located<f64>>();
    const { assert!(SIZE == size_of::<Located<u8>>()) };
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pair) = made.pair {
        return pair;
    }
    // SAFETY: the type is complete before it is used.
    unsafe {
        let mut pair = ffi::RSMPI_DATATYPE_NULL;
        let bytes = ffi::RSMPI_UINT8_T;
        if ffi::MPI_Type_contiguous(SIZE as c_int, bytes, &raw mut pair) == 0
            && ffi::MPI_Type_commit(&raw mut pair) == 0
        {
            made.pair = Some(pair);
        }
        pair
    }
}

/// MPI's operator for a data type; none for what does not fit together. MPI would tell that in a reduction, but MPICH
/// waits for ever for an accumulate.
pub fn operation(code: u32, data: u32) -> Option<ffi::MPI_Op> {
    if matches!(code, operator::LAND..=operator::BXOR) && matches!(data, data::F32 | data::F64) {
        return None;
    }
    // SAFETY: constants of the shim.
    unsafe {
        Some(match code {
            operator::SUM => ffi::RSMPI_SUM,
            operator::PROD => ffi::RSMPI_PROD,
            operator::MAX => ffi::RSMPI_MAX,
            operator::MIN => ffi::RSMPI_MIN,
            operator::LAND => ffi::RSMPI_LAND,
            operator::BAND => ffi::RSMPI_BAND,
            operator::LOR => ffi::RSMPI_LOR,
            operator::BOR => ffi::RSMPI_BOR,
            operator::LXOR => ffi::RSMPI_LXOR,
            operator::BXOR => ffi::RSMPI_BXOR,
            operator::REPLACE => of_fortran(13, 0x5800_000d),
            operator::NO_OP => of_fortran(14, 0x5800_000e),
            _ => return place_operation(code, data),
        })
    }
}

/// An operator that the shim does not name, by its number in Fortran, which is a part of each library's binary interface:
/// Open MPI's, whose handles are pointers, and that of MPICH and its kin, whose handles are numbers.
fn of_fortran(of_open_mpi: c_int, of_mpich: c_int) -> ffi::MPI_Op {
    let is_pointer = size_of::<ffi::MPI_Op>() == size_of::<*mut c_void>();
    // SAFETY: MPI takes any number.
    unsafe { ffi::RSMPI_Op_f2c(if is_pointer { of_open_mpi } else { of_mpich }) }
}

type Function = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_int, *mut ffi::MPI_Datatype);

fn place_operation(code: u32, data: u32) -> Option<ffi::MPI_Op> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, found)) = made.operators.iter().find(|(key, _)| *key == (code, data)) {
        return Some(*found);
    }
    let function = match code {
        operator::MAXLOC => place_function::<true>(data)?,
        operator::MINLOC => place_function::<false>(data)?,
        _ => return None,
    };
    let mut made_now = std::mem::MaybeUninit::uninit();
    // SAFETY: the function has the form that MPI asks for, and lives as long as the library.
    let code_of_mpi = unsafe { ffi::MPI_Op_create(Some(function), 1, made_now.as_mut_ptr()) };
    if code_of_mpi != 0 {
        return None;
    }
    // SAFETY: MPI has written it.
    let operation = unsafe { made_now.assume_init() };
    made.operators.push(((code, data), operation));
    Some(operation)
}

fn place_function<const MAX: bool>(data: u32) -> Option<Function> {
    Some(match data.checked_sub(data::LOCATED)? {
        data::U8 => place::<u8, MAX>,
        data::I8 => place::<i8, MAX>,
        data::U16 => place::<u16, MAX>,
        data::I16 => place::<i16, MAX>,
        data::U32 => place::<u32, MAX>,
        data::I32 => place::<i32, MAX>,
        data::U64 => place::<u64, MAX>,
        data::I64 => place::<i64, MAX>,
        data::F32 => place::<f32, MAX>,
        data::F64 => place::<f64, MAX>,
        _ => return None,
    })
}

/// The larger (smaller) of each two pairs; of equal ones the one with the lower place. Commutative and associative
/// for all but NaN, which loses against every number.
unsafe extern "C" fn place<T: PartialOrd + Copy, const MAX: bool>(
    other: *mut c_void,
    inout: *mut c_void,
    length: *mut c_int,
    _data: *mut ffi::MPI_Datatype,
) {
    let (other, inout) = (other.cast::<Located<T>>(), inout.cast::<Located<T>>());
    // SAFETY: MPI gives `length` pairs on both sides, as the prelude laid them out; MPI's own buffers may be aligned
    // to less than a pair.
    unsafe {
        for at in 0..usize::try_from(*length).unwrap_or(0) {
            let (a, b) = (
                other.add(at).read_unaligned(),
                inout.add(at).read_unaligned(),
            );
            let is_better = if MAX {
                a.value > b.value
            } else {
                a.value < b.value
            };
            #[allow(clippy::eq_op, reason = "only NaN differs from itself")]
            let is_first_number = b.value != b.value && a.value == a.value;
            if is_better || is_first_number || (a.value == b.value && a.place < b.place) {
                inout.add(at).write_unaligned(a);
            }
        }
    }
}
