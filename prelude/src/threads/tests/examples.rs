//! The examples in the documentation, as they stand there.

use crate::prelude::*;

type Done = Result<(), Box<dyn std::error::Error>>;

#[test]
fn module() -> Done {
    static TOTAL: threads::Lock<u64> = threads::Lock::new(0);
    let adders: Vec<_> = (1..=3)
        .map(|n| threads::spawn(move || *TOTAL.lock() += n))
        .collect();
    for adder in &adders {
        adder.join()?;
    }
    assert_eq!(*TOTAL.lock(), 6);
    Ok(())
}

#[test]
fn thread() -> Done {
    let thread = threads::Thread::new(|| 6 * 7).name("answer");
    assert_eq!(thread.state(), threads::State::Created);
    thread.start()?;
    assert_eq!(thread.join()?, 42);
    assert_eq!(thread.state(), threads::State::Finished);
    let thread = threads::spawn(|| 1 + 1);
    assert_eq!(thread.join()?, 2);
    let name = threads::Thread::new(|| threads::current().name())
        .name("worker")
        .spawn()?
        .join()?;
    assert_eq!(name, "worker");
    Ok(())
}

#[test]
fn runnable() -> Done {
    struct Square(u32);

    impl Runnable for Square {
        type Output = u32;
        fn name(&self) -> Option<String> {
            Some(format!("square of {}", self.0))
        }
        fn run(self) -> u32 {
            self.0 * self.0
        }
    }
    let thread = threads::Thread::of(Square(7)).spawn()?;
    assert_eq!(thread.info().name(), "square of 7");
    assert_eq!(thread.join()?, 49);
    Ok(())
}

#[test]
fn lock() -> Done {
    let total = threads::Lock::new(0);
    thread::scope(|scope| {
        for n in 1..=3 {
            let total = &total;
            scope.spawn(move || *total.lock() += n);
        }
    });
    assert_eq!(*total.lock(), 6);
    assert!(total.try_acquire() && !total.try_acquire());
    total.release()?;
    Ok(())
}

#[test]
fn rlock() {
    use std::cell::Cell;

    let count = threads::RLock::new(Cell::new(0));
    let outer = count.lock();
    let inner = count.lock(); // the same thread, again
    inner.set(inner.get() + 1);
    drop((inner, outer));
    assert_eq!(count.lock().get(), 1);
}

#[test]
fn semaphores() -> Done {
    let places = threads::Semaphore::new(1);
    {
        let _place = places.permit();
        assert!(!places.try_acquire());
    }
    assert_eq!(places.value(), 1);
    let places = threads::BoundedSemaphore::new(2);
    places.acquire();
    places.release()?;
    assert!(places.release().is_err());
    Ok(())
}

#[test]
fn condition() -> Done {
    let stock = Arc::new(threads::Lock::new(Vec::new()));
    let not_empty = Arc::new(threads::Condition::on(&stock));
    let consumer = {
        let not_empty = Arc::clone(&not_empty);
        threads::spawn(move || {
            let mut stock = not_empty.lock();
            not_empty.wait_while(&mut stock, |stock| stock.is_empty());
            stock.pop()
        })
    };
    stock.lock().push(7);
    not_empty.notify();
    assert_eq!(consumer.join()?, Some(7));
    Ok(())
}

#[test]
fn event_and_barrier() -> Done {
    static READY: threads::Event = threads::Event::new();
    let waiter = threads::spawn(|| READY.wait());
    READY.set();
    waiter.join()?;
    assert!(READY.is_set());
    let barrier = threads::Barrier::new(3);
    let n_leaders = thread::scope(|scope| {
        let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| barrier.wait())).collect();
        let arrivals = waiting.into_iter().map(|thread| thread.join().unwrap());
        arrivals
            .filter(|arrival| arrival.as_ref().is_ok_and(|arrival| arrival.is_leader()))
            .count()
    });
    assert_eq!(n_leaders, 1);
    Ok(())
}

#[test]
fn timer_and_local() -> Done {
    use std::cell::Cell;

    let timer = threads::Timer::new(Duration::from_secs(3_600), || println!("an hour later"));
    timer.start()?;
    timer.cancel();
    assert!(timer.join()?.is_none());
    let count = Arc::new(threads::Local::new(|| Cell::new(0)));
    count.with(|count| count.set(5));
    let there = {
        let count = Arc::clone(&count);
        threads::spawn(move || count.with(Cell::get)).join()?
    };
    assert_eq!((count.with(Cell::get), there), (5, 0));
    Ok(())
}

#[test]
fn queue() -> Done {
    let queue = Arc::new(threads::Queue::bounded(2));
    let producer = {
        let queue = Arc::clone(&queue);
        threads::spawn(move || (0..5).for_each(|n| queue.put(n)))
    };
    let items: Vec<i32> = (0..5).map(|_| queue.get()).collect();
    assert_eq!(items, [0, 1, 2, 3, 4]);
    assert!(queue.try_get().is_err());
    producer.join()?;
    Ok(())
}

#[test]
fn list() {
    let _thread = threads::Thread::new(|| ()).name("not yet started");
    let threads = threads::list();
    assert!(
        threads
            .iter()
            .any(|one| one.name == "not yet started" && one.state == threads::State::Created)
    );
}
