//! What the rayon device says of itself, under the names that the drivers' devices use.

use std::collections::HashMap;

pub(super) fn of_rayon() -> HashMap<String, String> {
    let machine = crate::device::facts();
    let mut facts = HashMap::new();
    let mut put = |name: &str, fact: String| {
        facts.insert(name.to_owned(), fact);
    };
    let cores = machine.cpus_usable.unwrap_or(1);
    put("kind", "cpu".to_owned());
    put("platform", "rayon".to_owned());
    put(
        "name",
        machine.cpu_model.unwrap_or_else(|| "processor".to_owned()),
    );
    put("compute_units", cores.to_string());
    // Of kernels with barriers each work item is a thread.
    put("max_group_size", "1024".to_owned());
    put("has_f64", "1".to_owned());
    put("unified_memory", "1".to_owned());
    if let Some(mhz) = machine.frequency_max_mhz.or(machine.frequency_mhz) {
        put("clock_mhz", mhz.to_string());
    }
    let total = [machine.memory_total, machine.memory_limit];
    if let Some(bytes) = total.into_iter().flatten().min() {
        put("global_memory", bytes.to_string());
        put("largest_buffer", bytes.to_string());
    }
    facts
}
