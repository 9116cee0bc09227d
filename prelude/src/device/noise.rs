//! Whether the machine is quiet enough to measure on.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use super::files::read;
use super::{DeviceInfo, facts};
use crate::display::{Bundle, Show, display, escape};

/// How long is looked. The system counts in steps of 10 ms.
const WINDOW: Duration = Duration::from_millis(100);
/// The steps of `/proc/stat` and `/proc/self/stat` in a second: USER_HZ, which Linux keeps at 100 for programs.
const TICKS_PER_SECOND: f64 = 100.0;
/// Less than this part of a core may be the steps' own error: one or two of the ten in the window.
const BUSY_CORES: f64 = 0.25;

/// What disturbs measurements on this machine, in figures. Unknown is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Noise {
    /// How many cores other processes kept busy in the window of about 100 ms.
    pub others_busy: Option<f64>,
    /// How many cores this process kept busy while the asking thread slept: threads that earlier cells have left.
    pub own_busy: Option<f64>,
    /// How many cores' worth of time the host of this virtual machine gave to others.
    pub stolen: Option<f64>,
    /// The load average of the last minute. It remembers what this notebook itself has run.
    pub load_one_minute: Option<f64>,
    /// The machine's logical cores.
    pub n_cores: Option<usize>,
    /// Who sets the frequency.
    pub governor: Option<String>,
    /// Whether this is a virtual machine.
    pub is_virtual: Option<bool>,
}

/// Looks at the machine for about 100 ms and shows a warning if timings would be disturbed now; on a quiet machine
/// it shows nothing. Call it before a benchmark.
///
/// ```
/// let noise = forkline::device::warn_if_noisy();
/// assert_eq!(noise.is_noisy(), noise.to_string() != "quiet");
/// ```
pub fn warn_if_noisy() -> Noise {
    let noise = Noise::now();
    if noise.is_noisy() {
        display(&noise);
    }
    noise
}

impl Noise {
    /// Looks at the machine for about 100 ms and shows nothing.
    pub fn now() -> Self {
        let before = Times::now();
        let began = Instant::now();
        thread::sleep(WINDOW);
        let after = Times::now();
        Self::between(before, after, began.elapsed(), &facts())
    }

    fn between(before: Times, after: Times, elapsed: Duration, facts: &DeviceInfo) -> Self {
        let cores = |before: Option<u64>, after: Option<u64>| {
            let ticks = after?.saturating_sub(before?);
            Some(ticks as f64 / TICKS_PER_SECOND / elapsed.as_secs_f64().max(1e-3))
        };
        let all = cores(before.busy, after.busy);
        let own = cores(before.own, after.own);
        Self {
            others_busy: all.zip(own).map(|(all, own)| (all - own).max(0.0)),
            own_busy: own,
            stolen: cores(before.stolen, after.stolen),
            load_one_minute: facts.load.map(|load| load.one_minute()),
            n_cores: facts.cores_logical,
            governor: facts.governor.clone(),
            is_virtual: facts.is_virtual,
        }
    }

    /// Whether anything here would disturb timings.
    pub fn is_noisy(&self) -> bool {
        !self.reasons().is_empty()
    }

    /// What disturbs and what to do about it.
    fn reasons(&self) -> Vec<(String, &'static str)> {
        let of_cores = match self.n_cores {
            Some(n) => format!(" of {n}"),
            None => String::new(),
        };
        let busy = |cores: Option<f64>| cores.filter(|&cores| cores > BUSY_CORES);
        let mut reasons = Vec::new();
        if let Some(cores) = busy(self.others_busy) {
            reasons.push((
                format!("other processes keep {cores:.1}{of_cores} cores busy"),
                "end what runs beside, or wait for it: top shows it",
            ));
        }
        if let Some(cores) = busy(self.own_busy) {
            reasons.push((
                format!("threads that earlier cells left keep {cores:.1}{of_cores} cores busy"),
                "let those threads end, or restart the kernel",
            ));
        }
        if let (Some(load), Some(n)) = (self.load_one_minute, self.n_cores)
            && load > n as f64
        {
            reasons.push((
                format!("the load average of the last minute is {load:.1} on {n} cores"),
                "wait a minute and call device::warn_if_noisy() again",
            ));
        }
        if let Some(governor) = self.governor.as_deref()
            && governor != "performance"
        {
            reasons.push((
                format!("the frequency governor is {governor}, so cores change their speed"),
                "sudo cpupower frequency-set -g performance",
            ));
        }
        if let (Some(stolen), Some(true)) = (self.stolen, self.is_virtual)
            && stolen > 0.0
        {
            reasons.push((
                format!("the host of this virtual machine took {stolen:.1} cores for others"),
                "measure several times and compare the shortest times",
            ));
        }
        reasons
    }
}

impl fmt::Display for Noise {
    /// `quiet`, or the warning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = self.reasons();
        if reasons.is_empty() {
            return write!(f, "quiet");
        }
        write!(f, "timings on this machine may be off now")?;
        let (whys, cures): (Vec<_>, Vec<_>) = reasons.into_iter().unzip();
        write!(f, "\nwhy: {}", whys.join("\n     "))?;
        write!(f, "\ndo:  {}", cures.join("\n     "))
    }
}

impl Show for Noise {
    fn show(&self) -> Bundle {
        let text = self.to_string();
        let html = format!(
            "<pre style=\"border-left:0.3em solid var(--jp-warn-color1, #f57c00);padding-left:0.6em\">{}</pre>",
            escape(&text)
        );
        Bundle::new().html(html).text(text)
    }
}

/// Times since the machine and the process began, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    busy: Option<u64>,
    stolen: Option<u64>,
    own: Option<u64>,
}

impl Times {
    fn now() -> Self {
        let text = |path| read(path).unwrap_or_default();
        Self::read(&text("/proc/stat"), &text("/proc/self/stat"))
    }

    /// `cpu user nice system idle iowait irq softirq steal …`, proc(5).
    fn read(stat: &str, own_stat: &str) -> Self {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "));
        let ticks: Option<Vec<u64>> =
            line.and_then(|line| line.split_whitespace().map(|n| n.parse().ok()).collect());
        let busy = |ticks: &Vec<u64>| {
            let parts = [0, 1, 2, 5, 6].map(|at| ticks.get(at));
            parts.into_iter().flatten().sum()
        };
        Self {
            busy: ticks.as_ref().map(busy),
            stolen: ticks.as_ref().and_then(|ticks| ticks.get(7).copied()),
            own: own_ticks(own_stat),
        }
    }
}

/// Fields 14 and 15; the second, the program's name, may hold spaces and brackets.
fn own_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut field = || fields.next()?.parse::<u64>().ok();
    Some(field()? + field()?)
}

#[cfg(test)]
mod tests {
    use super::super::Load;
    use super::*;
    use crate::tests::host::turn;

    const SECOND: Duration = Duration::from_secs(1);

    fn own(user: u64, system: u64) -> String {
        format!("1 (a b) c) R 1 1 1 0 -1 0 101 0 0 0 {user} {system} 0 0 20 0 1 0\n")
    }

    fn facts(load: &str, governor: Option<&str>) -> DeviceInfo {
        DeviceInfo {
            cores_logical: Some(2),
            load: Load::read(load),
            governor: governor.map(str::to_owned),
            is_virtual: Some(true),
            ..Default::default()
        }
    }

    fn between(before: &str, after: &str, own_after: (u64, u64), facts: &DeviceInfo) -> Noise {
        let before = Times::read(before, &own(10, 5));
        let after = Times::read(after, &own(own_after.0, own_after.1));
        Noise::between(before, after, SECOND, facts)
    }

    #[test]
    fn a_quiet_machine_is_quiet() {
        let facts = facts("0.10 0.10 0.10 1/80 5", Some("performance"));
        let noise = between(
            "cpu  100 0 50 900 10 1 2 3 0 0\ncpu0 1 1",
            "cpu  110 0 60 1080 10 1 2 3 0 0\n",
            (18, 10),
            &facts,
        );
        assert!(!noise.is_noisy(), "{noise}");
        assert_eq!(noise.to_string(), "quiet");
        assert!(
            (noise.others_busy.unwrap() - 0.07).abs() < 1e-9,
            "{noise:?}"
        );
        assert!((noise.own_busy.unwrap() - 0.13).abs() < 1e-9, "{noise:?}");
    }

    #[test]
    fn each_disturbance_has_its_line_and_its_cure() {
        let facts = facts("3.10 0.10 0.10 1/80 5", Some("powersave"));
        let noise = between(
            "cpu  100 0 50 900 10 1 2 3 0 0\n",
            "cpu  200 10 80 960 10 1 2 53 0 0\n",
            (50, 5),
            &facts,
        );
        assert_eq!(
            noise.to_string(),
            "timings on this machine may be off now\n\
             why: other processes keep 1.0 of 2 cores busy\n     \
                  threads that earlier cells left keep 0.4 of 2 cores busy\n     \
                  the load average of the last minute is 3.1 on 2 cores\n     \
                  the frequency governor is powersave, so cores change their speed\n     \
                  the host of this virtual machine took 0.5 cores for others\n\
             do:  end what runs beside, or wait for it: top shows it\n     \
                  let those threads end, or restart the kernel\n     \
                  wait a minute and call device::warn_if_noisy() again\n     \
                  sudo cpupower frequency-set -g performance\n     \
                  measure several times and compare the shortest times"
        );
        let shown = noise.show();
        assert!(
            shown
                .get("text/html")
                .unwrap()
                .contains("timings on this machine")
        );
    }

    #[test]
    fn what_is_unknown_is_no_noise() {
        let noise = between("", "intr 5\n", (0, 0), &DeviceInfo::default());
        assert_eq!((noise.others_busy, noise.stolen), (None, None));
        assert!(!noise.is_noisy());
        assert_eq!(Times::read("cpu  1 2 x", "no bracket"), Times::default());
    }

    #[test]
    fn the_machine_is_looked_at_and_warned_of_only_if_noisy() {
        let turn = turn();
        let noise = warn_if_noisy();
        assert!(
            noise.others_busy.is_some() && noise.load_one_minute.is_some(),
            "{noise:?}"
        );
        assert_eq!(turn.frames().len(), usize::from(noise.is_noisy()));
        assert_eq!(noise.is_noisy(), noise.to_string() != "quiet");
    }
}
