//! Where the variables of a session are between cells.
//!
//! The generated code of each cell takes the variables that the cell names out of here and puts them
//! back when it ends. The methods and words are those that evcxr's generated code expects; the kernel
//! replaces evcxr's own store, which each cell would compile anew, by this one.
//!
//! What always holds: a value comes out as the type as which it went in. A type that was defined
//! anew in between has the same `TypeId`, so each value carries a number that the kernel makes of the
//! texts of all definitions that its type leads to; with another number the value is dropped.

use std::any::{Any, TypeId};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tells evcxr that a variable is lost.
pub const VARIABLE_CHANGED_TYPE: &str = "EVCXR_VARIABLE_CHANGED_TYPE:";
/// Tells evcxr that a `?` returned an error.
pub const USER_ERROR_OCCURRED: &str = "EVCXR_ERROR_OCCURRED";

struct Variable {
    value: Box<dyn Any>,
    /// What the type meant when the value went in; 0 if the kernel did not say.
    meaning: u64,
}

/// What has become of variables that are not in the store. A process has one session, and so one of these.
struct Absent {
    /// Out with the cell that runs, or moved by it.
    taken: BTreeSet<String>,
    /// Gone with a cell that did not end.
    lost: BTreeSet<String>,
}

static ABSENT: Mutex<Absent> = Mutex::new(Absent {
    taken: BTreeSet::new(),
    lost: BTreeSet::new(),
});

fn absent() -> MutexGuard<'static, Absent> {
    ABSENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cell begins: nothing is out.
pub(crate) fn forget_taken() {
    absent().taken.clear();
}

/// The cell that runs will not end: what is out is lost. Returns the names.
pub(crate) fn leave_taken() -> Vec<String> {
    let mut absent = absent();
    let taken = std::mem::take(&mut absent.taken);
    absent.lost.extend(taken.iter().cloned());
    taken.into_iter().collect()
}

/// The variables of a session by name.
#[derive(Default)]
pub struct VariableStore {
    variables: HashMap<String, Variable>,
}

/// A store for a session that has none; the worker keeps it for its life.
pub fn create_variable_store() -> *mut VariableStore {
    Box::into_raw(Box::default())
}

impl VariableStore {
    /// Puts a value in.
    pub fn put_variable<T: 'static>(&mut self, name: &str, value: T) {
        self.put_variable_of(0, name, value);
    }

    /// Puts a value in whose type means this.
    pub fn put_variable_of<T: 'static>(&mut self, meaning: u64, name: &str, value: T) {
        self.put(meaning, name, Box::new(value));
    }

    /// Whether a value can be taken out as a `T`; if not, says so in evcxr's way.
    pub fn check_variable<T: 'static>(&mut self, name: &str) -> bool {
        self.check_variable_of::<T>(0, name)
    }

    /// Whether a value can be taken out as a `T` that means this.
    pub fn check_variable_of<T: 'static>(&mut self, meaning: u64, name: &str) -> bool {
        self.check(meaning, name, TypeId::of::<T>())
    }

    /// Takes a value out.
    ///
    /// # Panics
    /// If there is none of that name and type: an interrupt may have ended the cell that held it.
    pub fn take_variable<T: 'static>(&mut self, name: &str) -> T {
        match self.take(name).downcast() {
            Ok(value) => *value,
            Err(_) => another_type(name),
        }
    }

    /// A value shared by all cells, made at its first use.
    ///
    /// # Panics
    /// If the name is taken by a value of another type.
    pub fn lazy_arc<T: 'static, F: FnOnce() -> T>(&mut self, name: &str, create: F) -> Arc<T> {
        let shared = self
            .variables
            .entry(name.to_owned())
            .or_insert_with(|| Variable {
                value: Box::new(Arc::new(create())),
                meaning: 0,
            });
        match shared.value.downcast_ref::<Arc<T>>() {
            Some(value) => Arc::clone(value),
            None => panic!("`{name}` has another type now"),
        }
    }
}

// What does not depend on the type is compiled here, once, and not in each cell.
impl VariableStore {
    #[inline(never)]
    fn put(&mut self, meaning: u64, name: &str, value: Box<dyn Any>) {
        {
            let mut absent = absent();
            absent.taken.remove(name);
            absent.lost.remove(name);
        }
        self.variables
            .insert(name.to_owned(), Variable { value, meaning });
    }

    #[inline(never)]
    fn check(&mut self, meaning: u64, name: &str, wanted: TypeId) -> bool {
        if let Some(variable) = self.variables.get(name) {
            let same_meaning = variable.meaning == meaning || variable.meaning == 0 || meaning == 0;
            if same_meaning && (*variable.value).type_id() == wanted {
                return true;
            }
        } else if !absent().lost.remove(name) {
            return true;
        }
        eprintln!("The type of the variable {name} was redefined, so was lost.",);
        println!("{VARIABLE_CHANGED_TYPE}{name}");
        self.variables.remove(name);
        false
    }

    #[inline(never)]
    fn take(&mut self, name: &str) -> Box<dyn Any> {
        match self.variables.remove(name) {
            Some(variable) => {
                absent().taken.insert(name.to_owned());
                variable.value
            }
            None => panic!(
                "the variable `{name}` has no value any more: the cell that used it last did not end"
            ),
        }
    }
}

#[cold]
#[inline(never)]
fn another_type(name: &str) -> ! {
    panic!("the variable `{name}` has another type now")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_out_as_it_went_in() {
        let mut store = VariableStore::default();
        store.put_variable_of(7, "x", 5_i32);
        assert!(store.check_variable_of::<i32>(7, "x"));
        assert_eq!(store.take_variable::<i32>("x"), 5);
        assert!(
            store.check_variable_of::<i32>(7, "x"),
            "an absent one is no conflict"
        );
    }

    #[test]
    fn another_meaning_or_another_type_loses_the_value() {
        let mut store = VariableStore::default();
        store.put_variable_of(7, "x", 5_i32);
        assert!(!store.check_variable_of::<i32>(8, "x"));
        store.put_variable_of(7, "x", 5_i32);
        assert!(!store.check_variable_of::<u32>(7, "x"));
        assert!(store.variables.is_empty());
    }

    #[test]
    fn a_shared_value_is_made_once() {
        let mut store = VariableStore::default();
        let first = store.lazy_arc("runtime", || 1);
        assert!(Arc::ptr_eq(&first, &store.lazy_arc("runtime", || 2)));
    }
}
