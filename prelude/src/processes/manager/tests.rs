//! Dictionaries and lists of a manager, from several processes.

use std::collections::HashMap;

use super::*;
use crate::processes::pipe;
use crate::processes::testing::{in_child, travelled};

#[test]
fn manager_example() {
    let manager = Manager::new();
    let ages = manager.dict::<String, u32>();
    ages.insert("Ada".to_owned(), 36).unwrap();
    ages.add("Ada".to_owned(), 1).unwrap();
    assert_eq!(ages.get(&"Ada".to_owned()).unwrap(), Some(37));

    let log = manager.list::<String>();
    log.push("one".to_owned()).unwrap();
    log.extend(["two".to_owned()]).unwrap();
    assert_eq!(log.to_vec().unwrap(), ["one", "two"]);

    manager.shutdown();
    assert!(matches!(log.len(), Err(ManagerError::Gone)));
    assert!(format!("{log:?}").contains("keep the Manager in a variable"));
}

#[test]
fn value_example() {
    let manager = Manager::new();
    let best = manager.value(("nobody".to_owned(), 0)).unwrap();
    best.update(|best| {
        if best.1 < 7 {
            ("Ada".to_owned(), 7)
        } else {
            best
        }
    })
    .unwrap();
    assert_eq!(best.get().unwrap(), ("Ada".to_owned(), 7));
    assert_eq!(best.set(("Eve".to_owned(), 9)).unwrap().1, 7);
    assert_eq!(format!("{best:?}"), "ManagedValue((\"Eve\", 9))");
}

#[test]
fn a_dictionary_is_one() {
    let manager = Manager::new();
    let dict = manager.dict::<u8, String>();
    assert!(dict.is_empty().unwrap());
    assert_eq!(dict.insert(3, "c".to_owned()).unwrap(), None);
    assert_eq!(
        dict.insert(3, "C".to_owned()).unwrap().as_deref(),
        Some("c")
    );
    dict.extend([(1, "a".to_owned()), (2, "b".to_owned())])
        .unwrap();
    assert_eq!(dict.keys().unwrap(), [3, 1, 2]);
    assert_eq!(dict.remove(&1).unwrap().as_deref(), Some("a"));
    assert_eq!(dict.remove(&1).unwrap(), None);
    assert!(dict.contains_key(&2).unwrap() && !dict.contains_key(&1).unwrap());
    assert_eq!(dict.len().unwrap(), 2);
    assert_eq!(format!("{dict:?}"), r#"{3: "C", 2: "b"}"#);
    let long = "x".repeat(1 << 20);
    assert_eq!(
        dict.update(2, |old| old.unwrap() + &long).unwrap().len(),
        1 + (1 << 20)
    );
    assert_eq!(dict.to_map().unwrap()[&2].len(), 1 + (1 << 20));
    dict.clear().unwrap();
    assert_eq!(dict.to_map().unwrap(), HashMap::new());
}

#[test]
fn a_list_is_one() {
    let manager = Manager::new();
    let list = manager.list::<i32>();
    assert_eq!(list.pop().unwrap(), None);
    list.extend([1, 2, 3]).unwrap();
    list.insert(0, 0).unwrap();
    list.insert(4, 4).unwrap();
    assert_eq!(list.set(1, 10).unwrap(), 1);
    assert_eq!(list.remove(2).unwrap(), 2);
    assert_eq!(list.update(0, |n| n - 5).unwrap(), -5);
    assert_eq!(list.to_vec().unwrap(), [-5, 10, 3, 4]);
    assert_eq!(list.get(1).unwrap(), Some(10));
    assert_eq!(list.get(9).unwrap(), None);
    assert!(list.contains(&3).unwrap() && !list.is_empty().unwrap());
    assert_eq!(list.pop().unwrap(), Some(4));
    for error in [
        list.set(3, 0).unwrap_err(),
        list.remove(3).unwrap_err(),
        list.update(3, |n| n).unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("no place 3: its length is 3"),
            "{error}"
        );
    }
    assert!(list.insert(4, 0).is_err());
    list.clear().unwrap();
    assert_eq!(format!("{list:?}"), "[]");
}

#[test]
fn processes_update_one_dictionary_and_lose_nothing() {
    let manager = Manager::new();
    let dict = manager.dict::<String, u64>();
    let children: Vec<_> = (0..3_u64)
        .map(|worker| {
            // Travelled proxies have a connection of their own; the child of the clone makes one.
            let theirs = if worker == 0 {
                dict.clone()
            } else {
                travelled(&dict).unwrap()
            };
            in_child(move || {
                for _ in 0..100 {
                    theirs.add("all".to_owned(), 1).unwrap();
                }
                theirs
                    .insert(format!("worker {worker}"), 2 * worker)
                    .unwrap();
            })
        })
        .collect();
    for child in children {
        assert_eq!(child.join(), 0);
    }
    assert_eq!(dict.get(&"all".to_owned()).unwrap(), Some(300));
    assert_eq!(dict.get(&"worker 2".to_owned()).unwrap(), Some(4));
    assert_eq!(dict.len().unwrap(), 4);
}

#[test]
fn a_proxy_of_another_object_is_told_apart() {
    let manager = Manager::new();
    let list = manager.list::<u8>();
    let (sender, receiver) = pipe::<ManagedList<u8>>();
    sender.send(list.clone()).unwrap();
    receiver.recv().unwrap().push(1).unwrap();
    assert_eq!(list.to_vec().unwrap(), [1]);
    let wrong = ManagedDict::<u8, u8>::of(list.proxy.clone());
    assert!(matches!(wrong.get(&1), Err(ManagerError::Message(_))));
    let handles = manager.list::<crate::processes::Lock>();
    let error = handles.push(crate::processes::Lock::new()).unwrap_err();
    assert!(error.to_string().contains("cannot"), "{error}");
}
