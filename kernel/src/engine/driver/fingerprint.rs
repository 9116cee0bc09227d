//! What a type means: a number for a type's name and all definitions that the name leads to.
//!
//! To the compiler, a struct that a later cell defines anew is the type that it was before: the same
//! crate, the same path, the same `TypeId`. A value of the old one must not be taken for the new
//! one, so variables and statics carry this number.
//!
//! It is made of texts only. Two texts that differ where the types do not cost a variable (as a
//! redefinition does anyway); the other way round cannot be, save for a macro or a dependency that
//! yields other types from the same text.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The definitions of a session, by name.
#[derive(Default)]
pub struct Definitions<'a> {
    by_name: HashMap<String, Vec<&'a str>>,
    /// Imports of everything in a module: any name may come from there.
    globs: Vec<&'a str>,
    /// Dependencies and how they were asked for.
    dependencies: HashMap<String, String>,
}

impl<'a> Definitions<'a> {
    /// An item of the source that a type may lead to.
    pub fn add(&mut self, name: &str, text: &'a str) {
        self.by_name.entry(name.to_owned()).or_default().push(text);
    }

    /// A `use` of everything in a module.
    pub fn add_glob(&mut self, text: &'a str) {
        self.globs.push(text);
    }

    /// A dependency, as its line in Cargo.toml has it.
    pub fn add_dependency(&mut self, name: &str, configuration: &str) {
        self.dependencies
            .insert(name.replace('-', "_"), configuration.to_owned());
    }

    /// The number for the types that a text names. Never 0.
    pub fn fingerprint(&self, text: &str) -> u64 {
        let mut seen = BTreeSet::new();
        let mut pending: Vec<&str> = words(text).collect();
        for glob in &self.globs {
            pending.extend(words(glob));
        }
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
            if let Some(configuration) = self.dependencies.get(word) {
                found.insert(configuration);
            }
        }
        let mut hasher = DefaultHasher::new();
        found.hash(&mut hasher);
        hasher.finish().max(1)
    }
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
    fn a_type_from_a_glob_depends_on_the_dependency() {
        let fingerprint = |version: &str| {
            let mut definitions = Definitions::default();
            definitions.add_dependency("small-map", version);
            definitions.add_glob("use small_map::*;");
            definitions.fingerprint("Map<u8>")
        };
        assert_ne!(fingerprint("\"1\""), fingerprint("\"2\""));
    }
}
