//! The names under which statics are exported, so that all cells share one.
//!
//! evcxr repeats every item in every cell, so each cell's library has a copy of each `static`. With
//! an exported name, and libraries loaded with `RTLD_GLOBAL`, the dynamic linker binds all copies to
//! the first one. A static that is defined anew, or whose type means something else now, gets another
//! name and so begins anew; threads of earlier cells keep the old one.

use std::collections::{HashMap, HashSet};

/// What a static is, besides its name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// Name, after that of the function that holds it.
    pub path: String,
    /// The item that holds it, or the static itself.
    pub item: String,
    /// Its place among the statics of the item.
    pub ordinal: usize,
    /// What its types mean, see `fingerprint`.
    pub fingerprint: u64,
}

/// The statics of a session.
#[derive(Default, Clone)]
pub struct Statics {
    serials: HashMap<Identity, u32>,
    paths: HashSet<String>,
    next: u32,
}

/// How the name begins that a static is exported by.
pub const EXPORTED: &str = "forkline_static_";

/// The names given while one cell is compiled, perhaps several times over.
pub struct Naming<'a> {
    known: &'a Statics,
    given: HashMap<Identity, u32>,
    next: u32,
    anew: Vec<String>,
}

impl Statics {
    /// Begins to compile a cell.
    pub fn begin(&self) -> Naming<'_> {
        Naming {
            known: self,
            given: HashMap::new(),
            next: self.next,
            anew: Vec::new(),
        }
    }

    /// Takes over what was given to a cell that has been compiled.
    pub fn commit(&mut self, given: Given) {
        self.paths
            .extend(given.serials.keys().map(|identity| identity.path.clone()));
        self.serials.extend(given.serials);
        self.next = given.next;
    }
}

/// The outcome of a [`Naming`].
pub struct Given {
    serials: HashMap<Identity, u32>,
    next: u32,
    /// The statics that begin anew with this cell.
    pub anew: Vec<String>,
}

impl Naming<'_> {
    /// The exported name of a static. `defined_here`: by the cell that is compiled now.
    pub fn name(&mut self, identity: Identity, defined_here: bool) -> String {
        let path = identity.path.clone();
        let known = self.known.serials.get(&identity).filter(|_| !defined_here);
        let serial = match known.or_else(|| self.given.get(&identity)) {
            Some(serial) => *serial,
            None => {
                if self.known.paths.contains(&path) && !self.anew.contains(&path) {
                    self.anew.push(path.clone());
                }
                let serial = self.next;
                self.next += 1;
                self.given.insert(identity, serial);
                serial
            }
        };
        format!("{EXPORTED}{}_{serial}", path.replace("::", "_"))
    }

    /// What has been given.
    pub fn finish(self) -> Given {
        Given {
            serials: self.given,
            next: self.next,
            anew: self.anew,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(item: &str) -> Identity {
        Identity {
            path: "HITS".to_owned(),
            item: item.to_owned(),
            ordinal: 0,
            fingerprint: 1,
        }
    }

    #[test]
    fn a_static_keeps_its_name_until_it_is_defined_anew() {
        let mut statics = Statics::default();
        let compile = |statics: &mut Statics, item: &str, here: bool| {
            let mut naming = statics.begin();
            let name = naming.name(identity(item), here);
            // The same cell may be compiled again and gets the same name.
            assert_eq!(naming.name(identity(item), here), name);
            let given = naming.finish();
            let anew = given.anew.clone();
            statics.commit(given);
            (name, anew)
        };
        let (first, anew) = compile(&mut statics, "a", true);
        assert!(anew.is_empty());
        assert_eq!(compile(&mut statics, "a", false), (first.clone(), vec![]));
        let (second, anew) = compile(&mut statics, "a", true);
        assert_ne!(second, first);
        assert_eq!(anew, ["HITS"]);
        assert_eq!(compile(&mut statics, "a", false).0, second);
    }

    #[test]
    fn what_failed_to_compile_leaves_no_trace() {
        let statics = Statics::default();
        let first = statics.begin().name(identity("a"), true);
        assert_eq!(statics.begin().name(identity("b"), true), first);
    }
}
