//! What goes wrong is an error with the line, on each device in its way.

use super::*;

/// Each test has streams of its own: a fault is told to whoever waits for its stream.
fn on_each_apart(test: impl Fn(Device) -> GpuResult<()>) {
    on_each(|device| Stream::new(device)?.scope(|| test(device)));
}

/// The same with the devices that have a driver.
fn on_each_driver(test: impl Fn(Device) -> GpuResult<()>) {
    on_each_apart(|device| match device.dialect() {
        Some(_) => test(device),
        None => Ok(()),
    });
}

kernel! {
    fn beyond(a: &[f32], b: &mut [f32], shift: usize) {
        let i = global_id(0);
        let x =
            a[i + shift];
        b[i] = x;
    }

    fn write_beyond(b: &mut [f32]) {
        b[global_id(0) * 2] += 1.0;
    }

    fn inside(grid: &mut [u32], at: usize) {
        let mut own = [1_u32; 4];
        own[at] = 5;
        grid[0] = own[at];
    }
}

#[test]
fn an_index_out_of_range_is_an_error_with_its_line() {
    on_each_apart(|device| {
        let a = array(&[1.0_f32, 2.0, 3.0, 4.0])?;
        let mut b = zeros::<f32>(4)?;
        let run = |b: &mut Array<f32>| {
            beyond::over(4).run((&a, b, 3))?;
            b.to_vec()
        };
        let error = run(&mut b).unwrap_err().to_string();
        let line = line_of(include_str!("faults.rs"), "a[i + shift];");
        assert!(error.starts_with("kernel beyond: index "), "{error}");
        let place = format!(
            "is out of range (prelude/src/gpu/kernel/tests/faults.rs:{line})\nwhy: `a` has 4 elements"
        );
        assert!(error.contains(&place), "{error}");
        // The next launch has nothing to do with it.
        beyond::over(4).run((&a, &mut b, 0))?;
        assert_eq!(b.to_vec()?, [1.0, 2.0, 3.0, 4.0]);

        let run = || {
            let mut b = zeros::<f32>(4)?;
            write_beyond::over(4).run((&mut b,))?;
            device.stream()?.finish()
        };
        let error = run().unwrap_err().to_string();
        assert!(
            error.contains(&format!(
                "faults.rs:{})\nwhy: `b` has 4 elements",
                line_of(include_str!("faults.rs"), "b[global_id(0) * 2]")
            )),
            "{error}"
        );
        Ok(())
    });
    cuda("write_beyond", write_beyond::source);
}

#[test]
fn an_array_of_a_work_item_is_checked_too() {
    let on_device = |device: Device| {
        let mut grid = Array::<u32>::full(device, 1, 0)?;
        inside::over(1).run((&mut grid, 4))?;
        grid.to_vec()
    };
    on_each_driver(|device| {
        let error = on_device(device).unwrap_err().to_string();
        assert!(
            error.contains("index 4 is out of range (") && error.contains("`own` has 4"),
            "{error}"
        );
        Ok(())
    });
    cuda("inside", inside::source);
}

kernel! {
    fn divide(a: &[i32], b: &mut [i32]) {
        let i = global_id(0);
        b[i] = 10 / a[i] + i32::MIN.rem_euclid(a[i]);
    }

    fn steps(a: &mut [u32], by: usize) {
        for i in (0..a.len()).step_by(by) {
            a[i] = 1;
        }
    }
}

#[test]
fn a_division_by_0_is_an_error_on_devices() {
    on_each_driver(|device| {
        let run = |items: [i32; 3]| {
            let a = Array::from_slice(device, 3, &items)?;
            let mut b = a.zeros_like()?;
            divide::over(3).run((&a, &mut b))?;
            b.to_vec()
        };
        let error = run([1, 0, 2]).unwrap_err().to_string();
        assert!(
            error.starts_with("kernel divide: a division by 0 ("),
            "{error}"
        );
        let error = run([1, -1, 2]).unwrap_err().to_string();
        assert!(
            error.starts_with("kernel divide: a division overflows ("),
            "{error}"
        );
        assert_eq!(run([1, 5, 3])?, [10, 4, 4]);
        let mut a = Array::<u32>::full(device, 5, 0)?;
        steps::over(1).run((&mut a, 2))?;
        assert_eq!(a.to_vec()?, [1, 0, 1, 0, 1]);
        steps::over(1).run((&mut a, 0))?;
        let error = device.finish().unwrap_err().to_string();
        assert!(error.contains("a step of 0"), "{error}");
        Ok(())
    });
    cuda("divide", divide::source);
    cuda("steps", steps::source);
}

kernel! {
    fn race(a: &mut [u32]) {
        a[global_id(0) / 2] += 1;
    }

    fn neighbours(a: &mut [u32]) {
        let i = global_id(0);
        if i > 0 {
            a[i] = a[i - 1];
        }
    }

    fn no_barrier(a: &mut [u32]) {
        let tile = local!([u32; 8]);
        let i = local_id(0);
        tile[i] = i as u32;
        a[i] = tile[7 - i];
        barrier();
    }

    fn diverges(a: &mut [u32]) {
        let i = global_id(0);
        if i == 2 {
            return;
        }
        barrier();
        a[i] = 1;
    }
}

#[test]
fn a_race_is_an_error_on_the_processor() {
    let rayon = device("rayon").unwrap();
    let run = |launch: &dyn Fn(&mut Array<u32>) -> GpuResult<()>| {
        let mut a = Array::<u32>::full(rayon, 8, 0).unwrap();
        launch(&mut a).unwrap_err().to_string()
    };
    let error = run(&|a| race::over(8).run((a,)));
    assert!(
        error.starts_with("kernel race: a race for element "),
        "{error}"
    );
    assert!(
        error.contains(&format!(
            "faults.rs:{})\nwhy: work item ",
            line_of(include_str!("faults.rs"), "a[global_id(0) / 2]")
        )),
        "{error}"
    );
    assert!(
        error.contains(
            "\ndo:  let each work item write elements of its own, or make the elements atomic"
        ),
        "{error}"
    );
    let error = run(&|a| neighbours::over(8).group(1).run((a,)));
    assert!(error.contains("a race for element "), "{error}");
    let error = run(&|a| no_barrier::over(8).group(8).run((a,)));
    assert!(error.contains("of `local memory`"), "{error}");
    let error = run(&|a| diverges::over(4).group(4).run((a,)));
    assert!(
        error.contains("3 of 4 work items of a group wait at barrier() ("),
        "{error}"
    );
}

#[test]
fn groups_that_do_not_fit_are_refused() {
    on_each(|_| {
        let mut a = zeros::<u32>(8)?;
        let error = diverges::over(7)
            .group(4)
            .run((&mut a,))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("7 work items are no whole number of groups of 4"),
            "{error}"
        );
        assert!(error.contains("launch over(8)"), "{error}");
        let error = race::over(1 << 20)
            .group(1 << 20)
            .run((&mut a,))
            .unwrap_err()
            .to_string();
        assert!(error.contains("groups of 1048576 work items"), "{error}");
        race::over(0).run((&mut a,))
    });
}
