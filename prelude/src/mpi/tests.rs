//! What can be tested without ranks: texts, codes, what is said where MPI is absent. The calls themselves are tested
//! under `mpiexec` by `tests/mpi`.

use super::*;

#[test]
fn ranks_and_tags_say_what_they_are() {
    assert_eq!(Peer::from(3_usize).to_string(), "rank 3");
    assert_eq!(Peer::from(None).to_string(), "no process");
    assert_eq!(ANY_SOURCE.to_string(), "any rank");
    assert_eq!(ANY_TAG.to_string(), "any tag");
    // A negative number is a wrong rank, never a code of MPI's.
    assert_eq!(Peer::from(i32::MIN), Peer::from(-7));
    assert_ne!(Peer::from(i32::MIN), PROC_NULL);
    assert_ne!(Tag::from(i32::MIN + 1), ANY_TAG);
}

#[test]
fn an_error_names_the_call_and_the_cure() {
    let call = Call::rooted("scatter", 0);
    let error = MpiError::Count {
        call,
        rank: 0,
        expected: 3,
        found: 10,
    };
    let text = error.to_string();
    assert!(text.starts_with("scatter with root 0 ("), "{text}");
    assert!(
        text.contains("expecting 3 items, got 10 on rank 0"),
        "{text}"
    );
    assert_eq!(error.call().unwrap().name, "scatter");
}

#[test]
fn a_parcel_of_another_type_is_told() {
    let call = Call::here("recv");
    let bytes = parcel::pack(&call, "hello").unwrap();
    assert_eq!(
        parcel::unpack::<String>(&call, bytes.clone()).unwrap(),
        "hello"
    );
    let error = parcel::unpack::<Vec<f64>>(&call, bytes).unwrap_err();
    assert!(
        error.to_string().contains("is no alloc::vec::Vec<f64>"),
        "{error}"
    );
    let error = parcel::unpack::<u8>(&call, vec![1, 2]).unwrap_err();
    assert!(error.to_string().contains("from a slice"), "{error}");
    let numbers = parcel::pack(&call, &[1_u16, 2][..]).unwrap();
    assert_eq!(parcel::unpack::<Vec<u16>>(&call, numbers).unwrap(), [1, 2]);
}

#[test]
fn the_state_of_a_rank_without_mpi() {
    assert!(standing().is_empty());
    assert_eq!(
        state::text(),
        r#"{"started":false,"broken":false,"standing":[]}"#
    );
    let mut out = [0; 8];
    // SAFETY: room for eight bytes.
    let length = unsafe { state::forkline_mpi_state(out.as_mut_ptr(), 8) };
    assert_eq!((length, &out), (46, b"{\"starte"));
    assert_eq!(state::forkline_mpi_end(0.1), 1);
}
