//! Programs: texts compiled for a device, kept in memory and on disk, and the launch of their kernels.
//!
//! A compiled text is kept in a file of the user's cache folder (`forkline/gpu`), under the text, the options, the compiler
//! and its version; a file that does not fit or does not load is made anew.
//!
//! What always holds: the same text is compiled once in a process, also if several threads want it.

use std::collections::HashMap;
use std::ffi::CString;
use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::device::{Device, Driver};
use super::element::Scalar;
use super::error::{GpuError, GpuResult};
use super::library;
use super::memory::Buffer;
use super::order::Order;
use super::stream::Stream;
use super::table::{Argument, Handle, KernelFacts, Launch, argument, code};

/// The first bytes of a file of the cache.
const MAGIC: &str = "forkline gpu 1";

/// A compiled text. It is kept by its device as long as the process lives.
pub struct Module {
    device: Device,
    driver: Driver,
    handle: Handle,
    name: String,
    source: String,
    options: String,
    /// What the compiler said of it, warnings for instance.
    log: String,
    kernels: Mutex<HashMap<String, Kernel>>,
}

/// A kernel of a module, ready to be launched.
#[derive(Clone)]
pub struct Kernel(Arc<Function>);

struct Function {
    device: Device,
    driver: Driver,
    handle: Handle,
    name: String,
    facts: KernelFacts,
}

impl Drop for Function {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { (self.driver.table.kernel_free)(self.driver.index, self.handle) };
    }
}

/// What a kernel is given.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    Buffer(&'a Buffer),
    Scalar(Scalar),
    /// Local memory of so many bytes.
    Local(usize),
}

impl From<Scalar> for Given<'_> {
    fn from(value: Scalar) -> Self {
        Given::Scalar(value)
    }
}

/// How many groups, of how many work items each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub groups: [usize; 3],
    pub group_size: [usize; 3],
}

impl Device {
    /// The module of a text, compiled at the first call.
    ///
    /// # Errors
    /// It does not compile, there is no compiler, or this is the rayon device.
    pub(super) fn module(&self, name: &str, source: &str, options: &str) -> GpuResult<Arc<Module>> {
        let Some(driver) = self.driver() else {
            return Err(GpuError::NoDevice {
                wanted: format!("{name}: a device that compiles source texts"),
                why: "the rayon device runs compiled Rust only".to_owned(),
                cure: "choose an OpenCL or CUDA device".to_owned(),
            });
        };
        let key = hash(&(source, options));
        let find = |modules: &HashMap<u64, Vec<Arc<Module>>>| {
            let same = |module: &&Arc<Module>| module.source == source && module.options == options;
            modules.get(&key)?.iter().find(same).cloned()
        };
        // Compiled under the lock: a second thread that wants the same text waits for it.
        let mut modules = self
            .modules()
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = find(&modules) {
            return Ok(module);
        }
        let (handle, log) = match self.load_kept(driver, source, options) {
            Some(handle) => (handle, String::new()),
            None => {
                let made = self.compile(driver, name, source, options)?;
                self.keep(driver, made.0, source, options);
                made
            }
        };
        let module = Arc::new(Module {
            device: *self,
            driver,
            handle,
            name: name.to_owned(),
            source: source.to_owned(),
            options: options.to_owned(),
            log,
            kernels: Mutex::default(),
        });
        modules.entry(key).or_default().push(Arc::clone(&module));
        Ok(module)
    }

    fn compile(
        &self,
        driver: Driver,
        name: &str,
        source: &str,
        options: &str,
    ) -> GpuResult<(Handle, String)> {
        let text = CString::new(options).map_err(|_| GpuError::Kernel {
            name: name.to_owned(),
            what: "the compiler's options hold a NUL byte".to_owned(),
            why: "they are a C string".to_owned(),
            cure: "leave it out".to_owned(),
        })?;
        let (mut handle, mut length) = (0, 0);
        let mut log = vec![0_u8; 1 << 16];
        // SAFETY: the text has that length, the options end with NUL, the room for the log is as said.
        let code = unsafe {
            (driver.table.compile)(
                driver.index,
                source.as_ptr(),
                source.len(),
                text.as_ptr(),
                &raw mut handle,
                log.as_mut_ptr(),
                log.len(),
                &raw mut length,
            )
        };
        log.truncate(length);
        let log = String::from_utf8_lossy(&log).trim().to_owned();
        match code {
            0 => Ok((handle, log)),
            code::COMPILE => Err(GpuError::Compile {
                device: *self,
                name: name.to_owned(),
                log,
                source: source.to_owned(),
            }),
            code::NO_COMPILER => Err(GpuError::NoDevice {
                wanted: format!("{name}: a compiler for {self}"),
                why: library::last_error(driver.table, code),
                cure: "for CUDA: pip install nvidia-cuda-nvrtc-cu12, or the package nvidia-cuda-toolkit".to_owned(),
            }),
            _ => Err(self
                .check(code, || format!("compiling {name}"))
                .err()
                .unwrap_or_else(|| unreachable!("the code is not 0"))),
        }
    }

    /// What a kept binary belongs to.
    fn identity(driver: Driver, source: &str, options: &str) -> String {
        static COMPILERS: Mutex<Vec<(usize, u32, String)>> = Mutex::new(Vec::new());
        let mut compilers = COMPILERS.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (std::ptr::from_ref(driver.table) as usize, driver.index);
        let known = compilers
            .iter()
            .find(|(table, index, _)| (*table, *index) == key);
        let compiler = match known {
            Some((_, _, text)) => text.clone(),
            None => {
                let (table, index) = (driver.table, driver.index);
                // SAFETY: the room is as said.
                let text = library::text(|out, capacity| unsafe {
                    (table.compiler)(index, out, capacity)
                });
                // A compiler may yet be installed while this process lives.
                if !text.is_empty() {
                    compilers.push((key.0, key.1, text.clone()));
                }
                text
            }
        };
        format!("{MAGIC}\n{compiler}\n{options}\n{source}\n")
    }

    fn load_kept(&self, driver: Driver, source: &str, options: &str) -> Option<Handle> {
        let identity = Device::identity(driver, source, options);
        let kept = fs::read(cache_file(&identity)?).ok()?;
        let binary = kept.strip_prefix(identity.as_bytes())?;
        let mut handle = 0;
        // SAFETY: the binary has that length, the pointer is valid.
        let code = unsafe {
            (driver.table.load)(driver.index, binary.as_ptr(), binary.len(), &raw mut handle)
        };
        (code == 0).then_some(handle)
    }

    /// Writes the binary to the cache. That it cannot be is no error: the text is compiled again the next time.
    fn keep(&self, driver: Driver, module: Handle, source: &str, options: &str) {
        let identity = Device::identity(driver, source, options);
        let Some(file) = cache_file(&identity) else {
            return;
        };
        let mut binary = Vec::new();
        // SAFETY: the room is as said, none at first.
        let length = unsafe { (driver.table.binary)(driver.index, module, binary.as_mut_ptr(), 0) };
        binary.resize(length, 0);
        // SAFETY: as above.
        let written =
            unsafe { (driver.table.binary)(driver.index, module, binary.as_mut_ptr(), length) };
        if length == 0 || written != length {
            return;
        }
        let mut contents = identity.into_bytes();
        contents.extend(binary);
        // Under another name first, so that nobody reads half a file.
        let half = file.with_extension(std::process::id().to_string());
        let stored = fs::create_dir_all(file.parent().unwrap_or(&file))
            .and_then(|()| fs::write(&half, contents))
            .and_then(|()| fs::rename(&half, &file));
        if stored.is_err() {
            let _nothing_else_to_do = fs::remove_file(&half);
        }
    }
}

fn hash(what: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Where a binary of this identity lies; none without a folder for caches.
fn cache_file(identity: &str) -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let base = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
        Some(base.join("forkline/gpu"))
    });
    Some(
        folder
            .as_ref()?
            .join(format!("{:016x}.bin", hash(&identity))),
    )
}

impl Module {
    /// The device that it was compiled for.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the compiler said, warnings for instance. Empty if it comes out of the cache.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// A kernel by its name.
    ///
    /// # Errors
    /// There is none.
    pub fn kernel(self: &Arc<Module>, name: &str) -> GpuResult<Kernel> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = kernels.get(name) {
            return Ok(kernel.clone());
        }
        let missing = |why: String| GpuError::Kernel {
            name: name.to_owned(),
            what: format!("no such kernel in {}", self.name),
            why,
            cure: "look at the name; CUDA kernels need extern \"C\" __global__, OpenCL's __kernel"
                .to_owned(),
        };
        let c_name = CString::new(name).map_err(|_| missing("the name holds a NUL byte".into()))?;
        let (driver, mut handle) = (self.driver, 0);
        // SAFETY: the module is alive, the name ends with NUL, the pointer is valid.
        let code = unsafe {
            (driver.table.kernel)(driver.index, self.handle, c_name.as_ptr(), &raw mut handle)
        };
        if code == code::NO_KERNEL {
            return Err(missing(library::last_error(driver.table, code)));
        }
        self.device
            .check(code, || format!("finding kernel {name}"))?;
        let mut facts = KernelFacts::default();
        // SAFETY: the kernel is alive, the pointer is valid.
        let code = unsafe { (driver.table.kernel_facts)(driver.index, handle, &raw mut facts) };
        let kernel = Kernel(Arc::new(Function {
            device: self.device,
            driver,
            handle,
            name: name.to_owned(),
            facts,
        }));
        self.device
            .check(code, || format!("the facts of kernel {name}"))?;
        kernels.insert(name.to_owned(), kernel.clone());
        Ok(kernel)
    }
}

impl Kernel {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The device that it runs on.
    pub fn device(&self) -> Device {
        self.0.device
    }

    /// The most work items that a group of it may have.
    pub fn max_group_size(&self) -> usize {
        self.0.facts.max_group_size.max(1)
    }

    /// What the compiler made of it.
    pub(super) fn facts(&self) -> KernelFacts {
        self.0.facts
    }

    /// Orders a launch in a stream of its device.
    ///
    /// # Errors
    /// A buffer lies elsewhere, the group is too large, the arguments are not the kernel's; the driver's.
    pub(super) fn launch(
        &self,
        stream: &Stream,
        grid: Grid,
        shared: usize,
        given: &[Given<'_>],
        describe: impl FnOnce() -> Order,
    ) -> GpuResult<()> {
        let function = &*self.0;
        let n_items: usize = grid.group_size.iter().product();
        let too_large = |text: String| GpuError::GroupTooLarge {
            name: function.name.clone(),
            group: grid.group_size,
            limit: self.max_group_size(),
            text,
        };
        if n_items > self.max_group_size() {
            return Err(too_large(
                "the kernel allows no more on this device".to_owned(),
            ));
        }
        // Values live here until the driver has taken them.
        let mut values = Vec::with_capacity(given.len());
        for given in given {
            values.push(match given {
                Given::Scalar(scalar) => scalar.bytes(),
                _ => ([0; 8], 0),
            });
        }
        let mut arguments = Vec::with_capacity(given.len());
        for (given, (bytes, size)) in given.iter().zip(&values) {
            let mut argument = Argument {
                kind: argument::VALUE,
                handle: 0,
                value: bytes.as_ptr().cast(),
                size: *size,
            };
            match given {
                Given::Buffer(buffer) => {
                    if buffer.device() != function.device {
                        return Err(GpuError::Devices {
                            what: format!("kernel {}", function.name),
                            first: function.device,
                            other: buffer.device(),
                        });
                    }
                    argument.kind = argument::BUFFER;
                    argument.handle = buffer.handle(stream)?;
                }
                Given::Scalar(_) => {}
                Given::Local(bytes) => {
                    argument.kind = argument::LOCAL;
                    argument.size = *bytes;
                }
            }
            arguments.push(argument);
        }
        let launch = Launch {
            groups: grid.groups,
            group_size: grid.group_size,
            shared,
            arguments: arguments.as_ptr(),
            n_arguments: arguments.len(),
        };
        let mut failure = 0;
        let ordered = stream.order(describe, |driver, stream, event| {
            // SAFETY: kernel, stream and buffers are alive, and of one device; whether the kernel stays within its buffers
            // is its writer's affair.
            failure = unsafe {
                (driver.table.launch)(
                    driver.index,
                    stream,
                    function.handle,
                    &raw const launch,
                    event,
                )
            };
            failure
        });
        let words = || library::last_error(function.driver.table, failure);
        match failure {
            code::GROUP_TOO_LARGE => Err(too_large(words())),
            code::ARGUMENTS => Err(GpuError::Kernel {
                name: function.name.clone(),
                what: "does not take these arguments".to_owned(),
                why: words(),
                cure: format!(
                    "look at the kernel's parameters; {} were given",
                    arguments.len()
                ),
            }),
            _ => ordered,
        }
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Module({} for {})", self.name, self.device)
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({} on {})", self.0.name, self.0.device)
    }
}
