//! What a type means: a number for a type's name and all definitions that the name leads to.
//!
//! To the compiler, a struct that a later cell defines anew is the type that it was before: the same
//! crate, the same path, the same `TypeId`. A value of the old one must not be taken for the new
//! one, so variables and statics carry this number.
//!
//! Only definitions of the session count. A type of a dependency has a `TypeId` that changes with it, so
//! neither a dependency nor an import from one matters to a variable. A static has no such check: where
//! a dependency may be behind one of its names, the dependency's configuration counts.
//!
//! It is made of texts only. Two texts that differ where the types do not cost a variable (as a
//! redefinition does anyway); the other way round cannot be, save for a macro that puts the name of a type
//! together, or yields another type from the same text.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The definitions of a session, by name.
#[derive(Default)]
pub struct Definitions<'a> {
    by_name: HashMap<String, Vec<&'a str>>,
    /// Dependencies and how they were asked for.
    dependencies: HashMap<String, String>,
    /// Dependencies from which everything is imported: any name may come from there.
    globs: BTreeSet<(String, u32)>,
}

impl<'a> Definitions<'a> {
    /// An item of the source that a type may lead to.
    pub fn add(&mut self, name: &str, text: &'a str) {
        self.by_name.entry(name.to_owned()).or_default().push(text);
    }

    /// An item that defines names of which nobody knows, a macro's call or everything in a module of
    /// the session. `definer` is the text that has the names.
    pub fn add_unknown(&mut self, definer: &str, text: &'a str) {
        for name in defined_names(definer) {
            self.add(name, text);
        }
    }

    /// A dependency, as its line in Cargo.toml has it.
    pub fn add_dependency(&mut self, name: &str, configuration: &str) {
        self.dependencies
            .insert(name.replace('-', "_"), configuration.to_owned());
    }

    /// A `use` of everything in a module of a dependency that has been asked for in this many other
    /// ways before.
    pub fn add_glob(&mut self, dependency: &str, changes: u32) {
        if changes > 0 {
            self.globs.insert((dependency.to_owned(), changes));
        }
    }

    /// The items of this name.
    pub fn texts(&self, name: &str) -> Vec<&'a str> {
        self.by_name.get(name).cloned().unwrap_or_default()
    }

    /// The number for the types that a text names, for a value whose `TypeId` is looked at too. Never 0.
    pub fn fingerprint(&self, text: &str) -> u64 {
        self.number(text, false)
    }

    /// The number for the types of a static, at which nobody looks again. Never 0.
    pub fn fingerprint_of_static(&self, text: &str) -> u64 {
        self.number(text, true)
    }

    fn number(&self, text: &str, with_dependencies: bool) -> u64 {
        let mut seen = HashSet::new();
        let mut pending: Vec<&str> = words(text).collect();
        let mut found = BTreeSet::new();
        while let Some(word) = pending.pop() {
            if !seen.insert(word) {
                continue;
            }
            for definition in self.by_name.get(word).into_iter().flatten() {
                if found.insert(*definition) {
                    pending.extend(words(definition));
                }
            }
            if let Some(configuration) = self.dependencies.get(word).filter(|_| with_dependencies) {
                found.insert(configuration);
            }
        }
        let mut hasher = DefaultHasher::new();
        found.hash(&mut hasher);
        if with_dependencies {
            self.globs.hash(&mut hasher);
        }
        hasher.finish().max(1)
    }
}

/// The names that a text seems to define: what follows `struct` and the like, or all capitalised words
/// that are not std's if there is nothing of the kind.
fn defined_names(text: &str) -> Vec<&str> {
    let all: Vec<&str> = words(text).collect();
    let defines =
        |word: &str| matches!(word, "struct" | "enum" | "union" | "trait" | "type" | "mod");
    let after_keyword: Vec<&str> = all
        .windows(2)
        .filter(|pair| defines(pair[0]))
        .map(|pair| pair[1])
        .collect();
    if !after_keyword.is_empty() {
        return after_keyword;
    }
    let is_std = |word: &str| {
        matches!(
            word,
            "Arc"
                | "Box"
                | "BTreeMap"
                | "BTreeSet"
                | "Cell"
                | "Cow"
                | "Duration"
                | "Err"
                | "HashMap"
                | "HashSet"
                | "Instant"
                | "LazyLock"
                | "Mutex"
                | "None"
                | "Ok"
                | "OnceLock"
                | "Option"
                | "PhantomData"
                | "Rc"
                | "RefCell"
                | "Result"
                | "RwLock"
                | "Self"
                | "Some"
                | "String"
                | "Vec"
                | "VecDeque"
        )
    };
    all.into_iter()
        .filter(|word| word.starts_with(char::is_uppercase) && !is_std(word))
        .collect()
}

/// The words of a text: everything that could be an identifier.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !(char.is_alphanumeric() || char == '_'))
        .filter(|word| !word.is_empty() && !word.starts_with(|char: char| char.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(items: &[(&'static str, &'static str)], text: &str) -> u64 {
        let mut definitions = Definitions::default();
        for (name, item) in items {
            definitions.add(name, item);
        }
        definitions.fingerprint(text)
    }

    #[test]
    fn a_definition_counts_however_far_away() {
        let before = [("P", "struct P(Q);"), ("Q", "struct Q(u8);")];
        let after = [("P", "struct P(Q);"), ("Q", "struct Q(u16);")];
        assert_ne!(number(&before, "Vec<P>"), number(&after, "Vec<P>"));
        assert_eq!(number(&before, "Vec<u8>"), number(&after, "Vec<u8>"));
        let mut reordered = before;
        reordered.reverse();
        assert_eq!(number(&before, "(P, Q)"), number(&reordered, "(P, Q)"));
    }

    #[test]
    fn what_does_not_define_the_type_does_not_count() {
        let mut definitions = Definitions::default();
        let before = definitions.fingerprint("Vec<u32>");
        let of_static = definitions.fingerprint_of_static("static N: Vec<u32>");
        definitions.add_dependency("plotters", "\"0.3\"");
        definitions.add_glob("plotters", 0);
        definitions.add_unknown(
            "bitflags! { struct Flags: u32 {} }",
            "bitflags! { struct Flags: u32 {} }",
        );
        definitions.add_unknown("other!(Vec<u32>);", "other!(Vec<u32>);");
        assert_eq!(definitions.fingerprint("Vec<u32>"), before);
        assert_eq!(
            definitions.fingerprint_of_static("static N: Vec<u32>"),
            of_static
        );
    }

    #[test]
    fn what_a_macro_seems_to_define_counts() {
        let number = |text: &'static str| {
            let mut definitions = Definitions::default();
            definitions.add_unknown(text, text);
            definitions.fingerprint("Option<Flags>")
        };
        assert_ne!(
            number("bitflags! { struct Flags: u8 }"),
            number("bitflags! { struct Flags: u16 }")
        );
        assert_ne!(number("flags!(Flags, 1);"), number("flags!(Flags, 2);"));
    }

    #[test]
    fn a_static_depends_on_the_dependencies_behind_its_names() {
        let number = |version: &str, changes: u32| {
            let mut definitions = Definitions::default();
            definitions.add_dependency("small-map", version);
            definitions.add_glob("small_map", changes);
            ["static M: Map<u8>", "static M: small_map::Map"]
                .map(|text| definitions.fingerprint_of_static(text))
        };
        assert_ne!(number("\"1\"", 0)[0], number("\"2\"", 1)[0]);
        assert_ne!(number("\"1\"", 0)[1], number("\"2\"", 0)[1]);
    }
}
