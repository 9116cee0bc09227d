//! From an address in a library to function and line, by the library's line tables and symbols.

use addr2line::Loader;

/// A place as the compiler knows it.
pub struct Symbol {
    pub function: String,
    /// Empty, and line 0, if the library has no line tables for it.
    pub file: String,
    pub line: usize,
}

/// The functions at an address, innermost first: more than one where calls were inlined.
pub fn resolve(library: &str, address: u64) -> Vec<Symbol> {
    Library::open(library).map_or_else(Vec::new, |library| library.resolve(address))
}

/// A library that was read, for many addresses.
pub struct Library(Loader);

impl Library {
    /// None if it is not there, or no library.
    pub fn open(path: &str) -> Option<Library> {
        Loader::new(path).ok().map(Library)
    }

    /// The name in the table of symbols.
    pub fn symbol(&self, address: u64) -> Option<String> {
        let name = self.0.find_symbol(address)?;
        Some(addr2line::demangle_auto(name.into(), None).into_owned())
    }

    /// The address itself if its line is known. Code that the optimiser has made of several lines has line 0;
    /// the nearest one before it in the same function that has a line is where it belongs, more or less.
    fn with_line(&self, address: u64) -> u64 {
        let has_line =
            |location: &addr2line::Location<'_>| location.line.is_some_and(|line| line > 0);
        if let Ok(Some(location)) = self.0.find_location(address)
            && has_line(&location)
        {
            return address;
        }
        let Some(function) = self.0.find_symbol_info(address) else {
            return address;
        };
        let Ok(rows) = self.0.find_location_range(function.address(), address) else {
            return address;
        };
        let with_line = rows.filter(|(_, _, location)| has_line(location));
        with_line.last().map_or(address, |(begin, _, _)| begin)
    }

    /// The functions at an address, innermost first.
    pub fn resolve(&self, address: u64) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        // Line tables name inlined functions only; the outermost one is in the table of symbols.
        let outermost = self.symbol(address);
        let address = self.with_line(address);
        if let Ok(mut frames) = self.0.find_frames(address) {
            while let Ok(Some(frame)) = frames.next() {
                let function = frame
                    .function
                    .as_ref()
                    .and_then(|name| name.demangle().ok().map(|name| name.into_owned()))
                    .unwrap_or_default();
                let location = frame.location.as_ref();
                let file = location
                    .and_then(|location| location.file)
                    .unwrap_or_default();
                let line = location.and_then(|location| location.line).unwrap_or(0);
                symbols.push(Symbol {
                    function,
                    file: file.to_owned(),
                    line: line as usize,
                });
            }
        }
        match (symbols.last_mut(), outermost) {
            (Some(last), Some(name)) => last.function = name,
            (None, Some(function)) => symbols.push(Symbol {
                function,
                file: String::new(),
                line: 0,
            }),
            (_, None) => {}
        }
        symbols
    }
}
