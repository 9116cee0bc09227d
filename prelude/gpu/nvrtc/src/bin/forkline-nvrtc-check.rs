//! Compiles a file of CUDA C++ for architectures, without a GPU: `forkline-nvrtc-check [OPTION…] FILE ARCH…`, where 80 is
//! 8.0 and an option is the compiler's, of one word.
//!
//! Ends with 1 if the text is wrong for one of them, with 2 if there is no compiler or the call is wrong.

use std::process::ExitCode;

use forkline_nvrtc::Compiler;

fn main() -> ExitCode {
    let (options, rest): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|word| word.starts_with('-'));
    let Some((file, architectures)) = rest.split_first() else {
        return wrong("forkline-nvrtc-check [OPTION...] FILE ARCH...");
    };
    let source = match std::fs::read(file) {
        Ok(source) => source,
        Err(error) => return wrong(&format!("{file}: {error}")),
    };
    let options = options.join(" ");
    let mut code = ExitCode::SUCCESS;
    for arch in architectures {
        let Ok(number) = arch.parse() else {
            return wrong(&format!("{arch}: not an architecture such as 80"));
        };
        let compiler = match Compiler::find(number, None) {
            Ok(compiler) => compiler,
            Err(why) => return wrong(&why),
        };
        let name = compiler.name();
        match compiler.compile(&source, &options) {
            Ok(binary) => println!("{file}: {name}: {} bytes", binary.bytes.len()),
            Err(failure) => {
                let log = String::from_utf8_lossy(failure.log());
                eprintln!("{file}: {name}: does not compile\n{log}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn wrong(words: &str) -> ExitCode {
    eprintln!("{words}");
    ExitCode::from(2)
}
