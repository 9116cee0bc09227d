"""The application of these tests, as cells define it, and a kernel with a broker that it has started."""

from __future__ import annotations

import itertools
import os

from harness import Client, Result, squeezed

# The pack is built by whoever needs it first.
BUILD_SECONDS = 900
PLACES = os.pathsep.join(["/usr/lib/rabbitmq/bin", "/usr/sbin", "/usr/local/sbin"])
PROGRAMS = {"redis": "redis-server", "rabbitmq": "rabbitmq-server"}

DEFINITIONS = r"""
use broker::{App, Command, Config, Context, Done, Options, Server, Worker};
use processes::{Process, Queue};

async fn add((a, b): (i64, i64)) -> Result<i64, String> {
    a.checked_add(b).ok_or_else(|| format!("{a} + {b} is too large"))
}

async fn rest((ms,): (u64,)) -> Result<u64, String> {
    tasks::sleep(Duration::from_millis(ms)).await;
    Ok(ms)
}

async fn flaky(context: Context, (failures,): (u32,)) -> Result<u32, String> {
    match context.n_retries {
        n if n < failures => Err(format!("attempt {} failed", n + 1)),
        n => Ok(n + 1),
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Letter { pub to: String, pub lines: Vec<String> }

async fn letter(letter: Letter) -> Result<Letter, String> {
    Ok(Letter { to: letter.to.to_uppercase(), lines: letter.lines.into_iter().rev().collect() })
}

/// Adds, and panics at zero.
async fn careful((a,): (i64,)) -> Result<i64, String> { assert!(a != 0, "zero"); Ok(a) }

/// Ends its worker.
async fn fatal(_nothing: ()) -> Result<(), String> { std::process::abort() }

/// What each task tells when it begins: its id and its worker.
pub type Begun = Queue<(String, String)>;

pub fn worker(config: Config, name: String, slots: usize, begun: Begun) -> Result<Done, String> {
    let tell = move |context: &Context| { let _full = begun.try_put((context.id.clone(), context.worker.clone())); };
    let (first, second, third) = (tell.clone(), tell.clone(), tell);
    Worker::new(&config, &name)
        .slots(slots)
        .in_stock(0)
        .task_with("add", move |context, arguments| { first(&context); add(arguments) })
        .task_with("rest", move |context, arguments| { second(&context); rest(arguments) })
        .task_with("flaky", flaky)
        .task("letter", letter)
        .task("careful", careful)
        .task_with("fatal", move |context, arguments| { third(&context); fatal(arguments) })
        .run()
        .map_err(|error| error.to_string())
}

pub fn begin(config: &Config, n: usize, slots: usize, begun: &Begun) -> Vec<Process<Result<Done, String>>> {
    let app = App::connect(config).unwrap();
    let start = |n| processes::spawn(worker, (config.clone(), format!("worker-{}", n + 1), slots, begun.clone())).unwrap();
    let workers = (0..n).map(start).collect();
    let limit = Instant::now() + Duration::from_secs(60);
    while app.workers().unwrap().len() < n { assert!(Instant::now() < limit, "the workers do not report"); }
    workers
}

pub fn all_begun(begun: &Begun) -> Vec<(String, String)> { std::iter::from_fn(|| begun.try_get().ok()).collect() }

/// What the first worker says.
pub fn ask(app: &App, command: Command) -> serde_json::Value {
    app.tell(&["worker-1"], command, Duration::from_secs(5)).unwrap()["worker-1"].clone()
}

/// The ids in what all workers answer.
pub fn ids_in(app: &App, command: Command) -> Vec<String> {
    let answers = app.tell(&[], command, Duration::from_secs(5)).unwrap();
    let entries = answers.values().flat_map(|entries| entries.as_array().unwrap());
    let id = |entry: &serde_json::Value| entry.get("request").unwrap_or(entry)["id"].as_str().unwrap().to_owned();
    entries.map(id).collect()
}

pub fn failed<T: serde::de::DeserializeOwned + std::fmt::Debug>(app: &App, id: &str) -> String { app.result::<T>(id, SOON).unwrap_err().to_string() }

const SOON: Duration = Duration::from_secs(60);
"""

STOP = "app.tell(&[], Command::Shutdown, Duration::from_secs(5))?;\n"
SHUTDOWN = STOP + "for worker in &workers { worker.join()??; }\n"


class Broker:
    """A kernel and the broker that it has started."""

    def __init__(self, kernel: Client, kind: str) -> None:
        self.kernel, self.kind = kernel, kind
        self.numbers = itertools.count(1)
        self.url = kernel.run(f"let server = Server::{kind}()?;\nserver.url()", timeout=180).text.strip('"')

    def fresh(self) -> Client:
        """The kernel, with an application that has a queue of its own."""
        self.kernel.forget()
        queue = f"queue-{next(self.numbers)}"
        self.kernel.run(
            f'let config = Config::new(server.url()).queue("{queue}").lease(Duration::from_secs(2));\n'
            "let app = App::connect(&config)?;\nlet begun = Begun::new();",
            timeout=120,
        )
        return self.kernel


def equal(result: Result, wanted: str) -> None:
    result.equal(squeezed(result.text), squeezed(wanted))


def has(result: Result, *parts: str) -> None:
    for part in parts:
        result.has(squeezed(part), squeezed(result.text))
