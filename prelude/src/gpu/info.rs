//! What there is: the devices as a table, and whether each part that a device needs was found.

use std::fmt;

use super::device::{Device, Kind, devices};
use super::library::DriverKind;
use crate::display::{Bundle, Show, escape};

/// All devices with what they say of themselves, as a table.
#[derive(Clone, Debug)]
pub struct Info {
    devices: Vec<Device>,
}

/// The devices of this machine as a table: a column for each.
pub fn info() -> Info {
    Info { devices: devices() }
}

impl Device {
    /// This device alone as a table.
    pub fn info(&self) -> Info {
        Info {
            devices: vec![*self],
        }
    }
}

/// What is shown of a device: the name of the line, and the fact.
type Line = (&'static str, fn(&Device) -> Option<String>);

const LINES: [Line; 17] = [
    ("kind", |device| Some(kind(*device).to_owned())),
    ("vendor", |device| device.fact("vendor").map(str::to_owned)),
    ("platform", |device| {
        let parts = [device.fact("platform"), device.fact("platform_version")];
        Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }),
    ("profile", |device| {
        device.fact("platform_profile").map(str::to_owned)
    }),
    ("version", |device| match device.kind() {
        Kind::Cuda => device
            .fact("version")
            .map(|version| format!("compute capability {version}")),
        _ => device.fact("version").map(str::to_owned),
    }),
    ("driver", |device| device.fact("driver").map(str::to_owned)),
    ("compute units", |device| {
        device.fact("compute_units").map(str::to_owned)
    }),
    ("clock", |device| {
        let mhz = device.number_of("clock_mhz").filter(|&mhz| mhz > 0)?;
        Some(format!("{mhz} MHz"))
    }),
    ("global memory", |device| memory(device, "global_memory")),
    ("largest buffer", |device| memory(device, "largest_buffer")),
    ("local memory", |device| memory(device, "local_memory")),
    ("constant memory", |device| {
        memory(device, "constant_memory")
    }),
    ("cache", |device| memory(device, "cache")),
    ("largest group", |device| {
        let sizes = device
            .fact("max_group_sizes")
            .map(|sizes| sizes.replace(' ', " x "));
        let most = device.fact("max_group_size")?;
        Some(sizes.map_or(most.to_owned(), |sizes| format!("{most} ({sizes})")))
    }),
    ("warp", |device| device.fact("warp_size").map(str::to_owned)),
    ("64-bit floating point", |device| {
        Some(if device.has_f64() { "yes" } else { "no" }.to_owned())
    }),
    ("memory of the host", |device| {
        let shares = device.number_of("unified_memory")?;
        Some(if shares != 0 { "shared" } else { "apart" }.to_owned())
    }),
];

fn kind(device: Device) -> &'static str {
    match device.kind() {
        Kind::Cuda => "GPU by CUDA",
        Kind::OpenClGpu => "GPU by OpenCL",
        Kind::OpenClCpu => match device.fact("kind") {
            Some("cpu") => "processor by OpenCL",
            _ => "accelerator by OpenCL",
        },
        Kind::Rayon => "processor by rayon",
    }
}

fn memory(device: &Device, fact: &str) -> Option<String> {
    let bytes = device.number_of(fact).filter(|&bytes| bytes > 0)?;
    Some(super::error::size(bytes as usize))
}

impl Info {
    /// The lines, each with what it says of each device.
    fn rows(&self) -> Vec<(&'static str, Vec<String>)> {
        LINES
            .iter()
            .map(|(name, fact)| {
                let facts = self
                    .devices
                    .iter()
                    .map(|device| fact(device).unwrap_or_default());
                (*name, facts.collect::<Vec<_>>())
            })
            .filter(|(_, facts)| facts.iter().any(|fact| !fact.is_empty()))
            .collect()
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        for (number, device) in self.devices.iter().enumerate() {
            if number > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "Device #{}: {}", device.number(), device.name())?;
            for (name, facts) in &rows {
                if !facts[number].is_empty() {
                    write!(f, "\n  {name:<22}{}", facts[number])?;
                }
            }
        }
        Ok(())
    }
}

impl Show for Info {
    fn show(&self) -> Bundle {
        let left = "style=\"text-align:left\"";
        let mut html = format!("<table><tr><th {left}>device</th>");
        for device in &self.devices {
            html += &format!(
                "<th {left}>#{} {}</th>",
                device.number(),
                escape(device.name())
            );
        }
        html += "</tr>";
        for (name, facts) in self.rows() {
            html += &format!("<tr><th {left}>{name}</th>");
            for fact in facts {
                html += &format!("<td {left}>{}</td>", escape(&fact));
            }
            html += "</tr>";
        }
        Bundle::new().html(html + "</table>").text(self.to_string())
    }
}

/// Prints the devices, the default marked: for the magic.
#[doc(hidden)]
pub fn __list() {
    let default = super::default();
    for device in devices() {
        let mark = if device == default { '*' } else { ' ' };
        println!("{mark} {device}");
    }
}

/// Makes a device the default, and says so: for the magic.
#[doc(hidden)]
pub fn __choose(name: &str) -> super::GpuResult<()> {
    let device = super::device(name)?;
    super::set_default(device);
    println!("arrays are now made on {device}");
    Ok(())
}

/// What was found of a driver, from its library to its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// `CUDA` or `OpenCL`.
    pub driver: &'static str,
    /// How many devices can be used.
    pub n_devices: usize,
    /// Why none, if there is none, and what to do.
    pub missing: Option<(String, String)>,
    /// What compiles source texts.
    pub compiler: Option<String>,
}

/// What was found of each driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// CUDA, then OpenCL.
    pub drivers: Vec<Found>,
}

/// Looks for drivers and devices, and says what is missing for those that cannot be used.
pub fn detect() -> Detection {
    let drivers = DriverKind::ALL.map(|kind| match kind.started() {
        Ok(started) => Found {
            driver: kind.name(),
            n_devices: started.n_devices as usize,
            missing: None,
            compiler: {
                let table = started.table;
                // SAFETY: the room is as said.
                let text = super::library::text(|out, capacity| unsafe {
                    (table.compiler)(0, out, capacity)
                });
                Some(text).filter(|text| !text.is_empty())
            },
        },
        Err(absence) => Found {
            driver: kind.name(),
            n_devices: 0,
            missing: Some((absence.why.clone(), absence.cure.clone())),
            compiler: None,
        },
    });
    Detection {
        drivers: drivers.into(),
    }
}

impl Detection {
    /// Whether CUDA has a device.
    pub fn has_cuda(&self) -> bool {
        self.drivers
            .iter()
            .any(|found| found.driver == "CUDA" && found.n_devices > 0)
    }

    /// Whether OpenCL has a device.
    pub fn has_opencl(&self) -> bool {
        self.drivers
            .iter()
            .any(|found| found.driver == "OpenCL" && found.n_devices > 0)
    }
}

impl fmt::Display for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, found) in self.drivers.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            let devices = if found.n_devices == 1 {
                "device"
            } else {
                "devices"
            };
            write!(f, "{}: found {} {devices}", found.driver, found.n_devices)?;
            if let Some((why, cure)) = &found.missing {
                write!(f, "\n  why: {why}\n  do:  {cure}")?;
            }
            if let Some(compiler) = &found.compiler {
                write!(f, "\n  compiler: {compiler}")?;
            }
        }
        write!(
            f,
            "\nrayon: always there\nused where none is chosen: {}",
            super::default()
        )
    }
}

impl Show for Detection {
    fn show(&self) -> Bundle {
        Bundle::new().text(self.to_string())
    }
}
