//! The types of the subset, and how an unknown one becomes known.
//!
//! A type is a number into a table. An unknown type is a variable there, which may be tied to another one; a literal
//! without a suffix is a variable that only a number of its kind can fill. rustc has checked the program already, so
//! the rules here are rustc's for numbers and no more.

/// A number of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    I8,
    I16,
    I32,
    I64,
    Isize,
    U8,
    U16,
    U32,
    U64,
    Usize,
    F32,
    F64,
    Bool,
}

use Scalar::*;

impl Scalar {
    pub const ALL: [Scalar; 13] = [
        I8, I16, I32, I64, Isize, U8, U16, U32, U64, Usize, F32, F64, Bool,
    ];

    /// Its name, in Rust and, by a `typedef`, in the text.
    pub fn name(self) -> &'static str {
        match self {
            I8 => "i8",
            I16 => "i16",
            I32 => "i32",
            I64 => "i64",
            Isize => "isize",
            U8 => "u8",
            U16 => "u16",
            U32 => "u32",
            U64 => "u64",
            Usize => "usize",
            F32 => "f32",
            F64 => "f64",
            Bool => "bool",
        }
    }

    pub fn of(name: &str) -> Option<Scalar> {
        Scalar::ALL.into_iter().find(|scalar| scalar.name() == name)
    }

    pub fn bits(self) -> u32 {
        match self {
            I8 | U8 | Bool => 8,
            I16 | U16 => 16,
            I32 | U32 | F32 => 32,
            _ => 64,
        }
    }

    pub fn is_float(self) -> bool {
        matches!(self, F32 | F64)
    }

    pub fn is_signed(self) -> bool {
        matches!(self, I8 | I16 | I32 | I64 | Isize)
    }

    pub fn is_int(self) -> bool {
        !self.is_float() && self != Bool
    }

    /// The unsigned integer of the same size.
    pub fn unsigned(self) -> Scalar {
        match self {
            I8 => U8,
            I16 => U16,
            I32 => U32,
            I64 => U64,
            Isize => Usize,
            other => other,
        }
    }

    /// The least and the greatest value of an integer.
    pub fn range(self) -> (i128, i128) {
        let bits = self.bits();
        if self.is_signed() {
            (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        } else {
            (0, (1 << bits) - 1)
        }
    }
}

/// Where the elements of a slice lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    Global,
    Local,
}

/// What a slice has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Elements {
    pub scalar: Scalar,
    pub is_atomic: bool,
    pub is_mutable: bool,
    pub space: Space,
}

/// A type, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Scalar(Scalar),
    Unit,
    /// Of what never has a value, such as `return`.
    Never,
    Array(Id, u64),
    /// A slice, or local memory with its static length.
    Slice(Elements, Option<u64>),
    /// Not known yet.
    Unknown,
    /// An integer.
    Int,
    /// A float.
    Float,
    /// The same as another.
    Same(Id),
}

/// A type's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(usize);

/// All types of one function.
#[derive(Default)]
pub struct Types {
    table: Vec<Type>,
}

impl Types {
    pub fn add(&mut self, kind: Type) -> Id {
        self.table.push(kind);
        Id(self.table.len() - 1)
    }

    pub fn scalar(&mut self, scalar: Scalar) -> Id {
        self.add(Type::Scalar(scalar))
    }

    fn root(&self, mut id: Id) -> Id {
        while let Type::Same(next) = self.table[id.0] {
            id = next;
        }
        id
    }

    pub fn get(&self, id: Id) -> Type {
        self.table[self.root(id).0].clone()
    }

    /// The number that a type is, if it is known.
    pub fn known_scalar(&self, id: Id) -> Option<Scalar> {
        match self.get(id) {
            Type::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// As `known_scalar`, at the end: literals that nothing asks for are `i32` and `f64`.
    pub fn final_scalar(&self, id: Id) -> Option<Scalar> {
        match self.get(id) {
            Type::Scalar(scalar) => Some(scalar),
            Type::Int => Some(I32),
            Type::Float => Some(F64),
            _ => None,
        }
    }

    /// Makes both the same. False if they cannot be.
    pub fn unify(&mut self, a: Id, b: Id) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return true;
        }
        match (self.table[a.0].clone(), self.table[b.0].clone()) {
            (Type::Never, _) | (_, Type::Never) => true,
            (Type::Unknown, _) => self.tie(a, b),
            (_, Type::Unknown) => self.tie(b, a),
            (Type::Array(x, n), Type::Array(y, m)) => n == m && self.unify(x, y),
            (Type::Int, Type::Int) | (Type::Float, Type::Float) => self.tie(a, b),
            (Type::Int, Type::Scalar(s)) => s.is_int() && self.tie(a, b),
            (Type::Scalar(s), Type::Int) => s.is_int() && self.tie(b, a),
            (Type::Float, Type::Scalar(s)) => s.is_float() && self.tie(a, b),
            (Type::Scalar(s), Type::Float) => s.is_float() && self.tie(b, a),
            (x, y) => x == y,
        }
    }

    fn tie(&mut self, from: Id, to: Id) -> bool {
        self.table[from.0] = Type::Same(to);
        true
    }

    /// How a message calls it.
    pub fn text(&self, id: Id) -> String {
        match self.get(id) {
            Type::Scalar(scalar) => scalar.name().to_owned(),
            Type::Unit => "()".to_owned(),
            Type::Never => "!".to_owned(),
            Type::Array(element, n) => format!("[{}; {n}]", self.text(element)),
            Type::Slice(elements, length) => elements_text(elements, length),
            Type::Unknown | Type::Same(_) => "_".to_owned(),
            Type::Int => "{integer}".to_owned(),
            Type::Float => "{float}".to_owned(),
        }
    }
}

fn elements_text(elements: Elements, length: Option<u64>) -> String {
    let Elements {
        scalar,
        is_atomic,
        is_mutable,
        ..
    } = elements;
    let name = match is_atomic {
        true => format!("Atomic<{}>", scalar.name()),
        false => scalar.name().to_owned(),
    };
    match (length, is_mutable) {
        (Some(n), _) => format!("local!([{name}; {n}])"),
        (None, true) => format!("&mut [{name}]"),
        (None, false) => format!("&[{name}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_takes_its_type_from_what_it_meets() {
        let mut types = Types::default();
        let literal = types.add(Type::Float);
        let variable = types.add(Type::Unknown);
        assert!(types.unify(variable, literal));
        let f32 = types.scalar(F32);
        assert!(types.unify(literal, f32));
        assert_eq!(types.known_scalar(variable), Some(F32));
        let int = types.add(Type::Int);
        assert!(!types.unify(int, f32));
        assert_eq!(types.final_scalar(int), Some(I32));
    }
}
