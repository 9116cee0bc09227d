//! Arrays: made, looked at from other sides, brought back.

use super::*;

#[test]
fn what_goes_in_comes_out() {
    on_each(|_| {
        let items: Vec<i64> = (0..1000).map(|i| i * i - 500).collect();
        assert_eq!(array(&items)?.to_vec()?, items);
        let truths = [true, false, true];
        assert_eq!(array(&truths)?.to_vec()?, truths);
        assert_eq!(full([2, 3], 1.5_f32)?.to_vec()?, [1.5; 6]);
        assert_eq!(ones::<u64>(3)?.to_vec()?, [1; 3]);
        assert!(zeros::<f64>([4, 0])?.to_vec()?.is_empty());
        Ok(())
    });
}

#[test]
fn views_show_the_same_elements() {
    on_each(|_| {
        let items: Vec<i32> = (0..12).collect();
        let a = array_of([3, 4], &items)?;
        assert_eq!(
            a.transpose().to_vec()?,
            [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
        );
        assert_eq!(a.slice((1.., step(.., -2)))?.to_vec()?, [7, 5, 11, 9]);
        assert_eq!(a.at(0, 2)?.to_vec()?, [8, 9, 10, 11]);
        assert_eq!(
            a.at(1, 3)?.broadcast_to([2, 3])?.to_vec()?,
            [3, 7, 11, 3, 7, 11]
        );
        assert_eq!(a.transpose().reshape([2, 6])?.get([1, 0])?, 2);
        assert_eq!(a.get([1, 2])?, 6);
        assert!(a.get([3, 0]).is_err());
        assert!(a.reshape([5, 3]).is_err());
        assert!(a.slice(0..4).is_err());
        Ok(())
    });
}

#[test]
fn who_writes_to_shared_elements_gets_a_copy() {
    on_each(|_| {
        let a = array(&[1, 2, 3])?;
        let mut b = a.clone();
        b.write(&[4, 5, 6])?;
        assert_eq!((a.to_vec()?, b.to_vec()?), (vec![1, 2, 3], vec![4, 5, 6]));
        Ok(())
    });
}

#[test]
fn memory_is_given_back_to_the_pool() {
    on_each(|device| {
        // Other tests hold memory at the same time.
        let a = zeros::<f32>(1 << 20)?;
        assert!(device.memory_held() >= 4 << 20);
        drop(a);
        let again = zeros::<f32>(1 << 20)?;
        assert_eq!(again.to_vec()?.len(), 1 << 20);
        Ok(())
    });
}

#[test]
fn another_stream_waits_for_the_first() {
    on_each(|device| {
        let (one, two) = (Stream::new(device)?, Stream::new(device)?);
        let a = one.scope(|| full(1 << 18, 7_u32))?;
        let copy = two.scope(|| {
            let mut copy = a.clone();
            copy.own_mut()?;
            GpuResult::Ok(copy)
        })?;
        assert_eq!(two.scope(|| copy.to_vec())?, vec![7; 1 << 18]);
        assert!(one.mark()?.is_done().is_ok());
        one.finish()
    });
}

#[test]
fn too_large_an_array_is_an_error() {
    on_each(|_| {
        let error = zeros::<f64>(1_usize << 55).unwrap_err();
        assert!(matches!(error, GpuError::OutOfMemory { .. }), "{error}");
        Ok(())
    });
}

#[test]
fn a_device_that_is_not_here_is_told() {
    let error = device("no such device").unwrap_err().to_string();
    assert!(
        error.contains("no such device\nwhy: ") && error.contains("rayon"),
        "{error}"
    );
    assert!(device("rayon:7").is_err());
}
