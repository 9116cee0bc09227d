//! How busy the machine is, in the system's own figures.

use std::fmt;

use super::files::read;

/// The load averages, and how many threads run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// Averages over 1, 5 and 15 minutes in hundredths, which is how exactly the system tells them.
    hundredths: [u32; 3],
    /// Threads that run or could run now, the asking one among them.
    pub n_running: usize,
    /// All threads of the machine.
    pub n_threads: usize,
}

impl Load {
    /// How many threads ran or wanted to on the average of the last minute.
    pub fn one_minute(&self) -> f64 {
        f64::from(self.hundredths[0]) / 100.0
    }

    /// The same over the last five minutes.
    pub fn five_minutes(&self) -> f64 {
        f64::from(self.hundredths[1]) / 100.0
    }

    /// The same over the last fifteen minutes.
    pub fn fifteen_minutes(&self) -> f64 {
        f64::from(self.hundredths[2]) / 100.0
    }

    /// `0.20 0.18 0.12 1/80 11206`, as `/proc/loadavg` has it.
    pub(super) fn read(loadavg: &str) -> Option<Self> {
        let mut parts = loadavg.split_whitespace();
        let mut average = || Some((parts.next()?.parse::<f64>().ok()? * 100.0).round() as u32);
        let hundredths = [average()?, average()?, average()?];
        let (n_running, n_threads) = parts.next()?.split_once('/')?;
        Some(Self {
            hundredths,
            n_running: n_running.parse().ok()?,
            n_threads: n_threads.parse().ok()?,
        })
    }
}

pub(super) fn now() -> Option<Load> {
    Load::read(&read("/proc/loadavg")?)
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2}, {:.2}, {:.2} over 1, 5, 15 minutes; {} of {} threads run now",
            self.one_minute(),
            self.five_minutes(),
            self.fifteen_minutes(),
            self.n_running,
            self.n_threads
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loadavg_is_read() {
        let load = Load::read("2.05 1.34 0.59 3/98 9583\n").unwrap();
        assert_eq!(
            load.to_string(),
            "2.05, 1.34, 0.59 over 1, 5, 15 minutes; 3 of 98 threads run now"
        );
        assert_eq!(Load::read("2.05 1.34"), None);
        assert_eq!(Load::read(""), None);
    }
}
