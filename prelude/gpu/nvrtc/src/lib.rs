//! CUDA C++ into machine code of a device, at run time: by NVRTC, a library of NVIDIA's, or else by the program nvcc.
//!
//! Neither a GPU nor a driver is needed, so what is generated can be compiled for any device anywhere. NVRTC is opened
//! where it is found (see `places`), never linked.
//!
//! What always holds: a compiler is never newer than the driver's major version, which would refuse what it makes; a device
//! that is newer than the compiler gets PTX, which the driver compiles on.
//!
//! * `places`   where NVRTC and nvcc may lie
//! * `library`  NVRTC's functions
//! * `nvcc`     the program

mod library;
mod nvcc;
mod places;

use library::Library;
use nvcc::Nvcc;

/// How the compiler's messages name the text.
const SOURCE: &str = "kernel.cu";

/// What brings a compiler.
const CURE: &str = "pip install nvidia-cuda-nvrtc-cu12, or sudo apt install nvidia-cuda-toolkit, \
                    or name libnvrtc in FORKLINE_NVRTC";

/// A compiled text.
pub struct Binary {
    /// A cubin, or PTX with a NUL at its end: both are what `cuModuleLoadData` takes.
    pub bytes: Vec<u8>,
    /// What the compiler said although it compiles.
    pub log: Vec<u8>,
}

/// Why a text was not compiled.
pub enum Failure {
    /// It is wrong; the compiler's words.
    Rejected(Vec<u8>),
    /// The compiler did not do its work.
    Broken(String),
}

impl Failure {
    /// The words of either.
    pub fn log(&self) -> &[u8] {
        match self {
            Failure::Rejected(log) => log,
            Failure::Broken(why) => why.as_bytes(),
        }
    }
}

/// What a text is compiled to, by the number that 8.0 writes as 80.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// Code of exactly this architecture.
    Real(u32),
    /// PTX for this one and all later ones.
    Virtual(u32),
}

impl Target {
    /// The best that a compiler can do for `arch`, if it knows `supported`: nothing if all that it knows is newer.
    fn choose(arch: u32, supported: &[u32]) -> Option<Target> {
        if supported.contains(&arch) {
            return Some(Target::Real(arch));
        }
        let below = supported.iter().copied().filter(|&known| known < arch);
        below.max().map(Target::Virtual)
    }

    fn name(self) -> String {
        match self {
            Target::Real(arch) => format!("sm_{arch}"),
            Target::Virtual(arch) => format!("compute_{arch}"),
        }
    }
}

enum Tool {
    Nvrtc(Library),
    Nvcc(Nvcc),
}

impl Tool {
    fn version(&self) -> (u32, u32) {
        match self {
            Tool::Nvrtc(library) => library.version(),
            Tool::Nvcc(nvcc) => nvcc.version(),
        }
    }

    fn supported(&self) -> &[u32] {
        match self {
            Tool::Nvrtc(library) => library.supported(),
            Tool::Nvcc(nvcc) => nvcc.supported(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Tool::Nvrtc(_) => "NVRTC",
            Tool::Nvcc(_) => "nvcc",
        }
    }
}

/// A compiler for one architecture.
pub struct Compiler {
    tool: Tool,
    target: Target,
}

impl Compiler {
    /// A compiler for devices of compute capability `arch` (80 is 8.0), and for a driver of CUDA's major version `driver`
    /// if one is given.
    ///
    /// # Errors
    /// There is none that fits; the words say what was found and what to install.
    pub fn find(arch: u32, driver: Option<u32>) -> Result<Compiler, String> {
        let mut tools = places::libraries()
            .into_iter()
            .map(|file| Library::open(&file).map(Tool::Nvrtc))
            .chain(
                places::nvcc()
                    .into_iter()
                    .map(|file| Nvcc::at(&file).map(Tool::Nvcc)),
            );
        let mut unfit = Vec::new();
        let mut second_best = None;
        let best = tools.find_map(|tool| match fit(tool, arch, driver) {
            Ok(
                compiler @ Compiler {
                    target: Target::Real(_),
                    ..
                },
            ) => Some(compiler),
            Ok(compiler) => {
                second_best.get_or_insert(compiler);
                None
            }
            Err(why) => {
                unfit.push(why);
                None
            }
        });
        best.or(second_best).ok_or_else(|| {
            // A library that is not there is not worth a word, unless it was asked for.
            unfit.retain(|why| !why.is_empty());
            if unfit.is_empty() {
                unfit.push("neither NVRTC (libnvrtc.so) nor nvcc is found".to_owned());
            }
            format!(
                "no compiler of CUDA C++ for sm_{arch}: {}; {CURE}",
                unfit.join(", ")
            )
        })
    }

    /// The compiler with its version and what it compiles to, such as `NVRTC 12.9 sm_80`.
    pub fn name(&self) -> String {
        let (major, minor) = self.tool.version();
        format!(
            "{} {major}.{minor} {}",
            self.tool.kind(),
            self.target.name()
        )
    }

    /// Compiles a text. `options` are the compiler's own, between spaces.
    ///
    /// # Errors
    /// The text or an option is wrong, or the compiler does not work.
    pub fn compile(&self, source: &[u8], options: &str) -> Result<Binary, Failure> {
        let options: Vec<&str> = options.split_whitespace().collect();
        match &self.tool {
            Tool::Nvrtc(library) => library.compile(source, self.target, &options),
            Tool::Nvcc(nvcc) => nvcc.compile(source, self.target, &options),
        }
    }
}

fn fit(tool: Result<Tool, String>, arch: u32, driver: Option<u32>) -> Result<Compiler, String> {
    let tool = tool?;
    let (major, minor) = tool.version();
    let kind = tool.kind();
    if let Some(driver) = driver
        && major > driver
    {
        return Err(format!(
            "{kind} {major}.{minor} is newer than the driver, which has CUDA {driver}"
        ));
    }
    match Target::choose(arch, tool.supported()) {
        Some(target) => Ok(Compiler { tool, target }),
        None => Err(format!("{kind} {major}.{minor} no longer knows sm_{arch}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "extern \"C\" __global__ void twice(float *a, int n) {\n\
                        int i = blockIdx.x * blockDim.x + threadIdx.x;\n\
                        if (i < n) a[i] *= FACTOR;\n}\n";

    /// Runs a test with what compiles for `arch`, or says that it did not run.
    fn with_compiler(arch: u32, test: impl FnOnce(Compiler)) {
        match Compiler::find(arch, None) {
            Ok(compiler) => test(compiler),
            Err(why) => println!("NOT RUN: {why}"),
        }
    }

    #[test]
    fn a_device_gets_its_own_code_or_that_of_the_next_older_one() {
        let known = [75, 80, 86, 90];
        assert_eq!(Target::choose(86, &known), Some(Target::Real(86)));
        assert_eq!(Target::choose(100, &known), Some(Target::Virtual(90)));
        assert_eq!(Target::choose(89, &known), Some(Target::Virtual(86)));
        assert_eq!(Target::choose(70, &known), None);
    }

    #[test]
    fn a_text_becomes_a_cubin_of_the_architecture() {
        for arch in [75, 80, 90] {
            with_compiler(arch, |compiler| {
                assert!(compiler.name().ends_with(&format!(" sm_{arch}")));
                let binary = compiler.compile(GOOD.as_bytes(), "-DFACTOR=2.0f  --std=c++17");
                let binary = binary.unwrap_or_else(|failure| panic!("{}", text(&failure)));
                assert_eq!(binary.bytes[..4], *b"\x7fELF");
                let name = b"twice";
                assert!(binary.bytes.windows(name.len()).any(|at| at == name));
            });
        }
    }

    #[test]
    fn a_newer_device_gets_text_for_its_driver() {
        with_compiler(999, |compiler| {
            assert!(compiler.name().contains(" compute_"));
            let binary = compiler.compile(GOOD.as_bytes(), "-DFACTOR=2.0f");
            let binary = binary.unwrap_or_else(|failure| panic!("{}", text(&failure)));
            assert_eq!(binary.bytes.last(), Some(&0));
            assert!(String::from_utf8_lossy(&binary.bytes).contains(".entry twice"));
        });
    }

    #[test]
    fn a_wrong_text_is_named_with_its_line() {
        with_compiler(80, |compiler| {
            let Err(failure) = compiler.compile(GOOD.as_bytes(), "") else {
                panic!("FACTOR is not defined");
            };
            assert!(matches!(failure, Failure::Rejected(_)));
            let words = text(&failure);
            assert!(
                words.contains("kernel.cu(3)") && words.contains("FACTOR"),
                "{words}"
            );
        });
    }

    #[test]
    fn a_wrong_option_and_a_stray_byte_are_errors() {
        with_compiler(80, |compiler| {
            let Err(failure) = compiler.compile(GOOD.as_bytes(), "--no-such-option") else {
                panic!("there is no such option");
            };
            assert!(
                text(&failure).contains("no-such-option"),
                "{}",
                text(&failure)
            );
            assert!(compiler.compile(b"int a;\0int b;", "").is_err());
        });
    }

    #[test]
    fn a_compiler_newer_than_the_driver_is_left_alone() {
        with_compiler(80, |_| {
            let Err(why) = Compiler::find(80, Some(1)) else {
                panic!("CUDA 1 has no NVRTC");
            };
            assert!(why.contains("is newer than the driver"), "{why}");
            assert!(why.contains("pip install"), "{why}");
        });
    }

    fn text(failure: &Failure) -> String {
        String::from_utf8_lossy(failure.log()).into_owned()
    }
}
