//! From an address in a cell's library to function and line, by the library's line tables.

use addr2line::Loader;

/// A place as the compiler knows it.
pub struct Symbol {
    pub function: String,
    pub file: String,
    pub line: usize,
}

/// The functions at an address, innermost first: more than one where calls were inlined.
pub fn resolve(library: &str, address: u64) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    let Ok(loader) = Loader::new(library) else {
        return symbols;
    };
    // Line tables name inlined functions only; the outermost one is in the table of symbols.
    let outermost = loader
        .find_symbol(address)
        .map(|name| addr2line::demangle_auto(name.into(), None));
    let Ok(mut frames) = loader.find_frames(address) else {
        return symbols;
    };
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
    if let (Some(last), Some(name)) = (symbols.last_mut(), outermost) {
        last.function = name.into_owned();
    }
    symbols
}
