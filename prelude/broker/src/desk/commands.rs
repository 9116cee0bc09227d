//! Commands that a worker hears, and what it answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{Desk, Held, State};
use crate::control::{Ask, Command, Order};
use crate::outcome::Outcome;

/// So many ids of revoked tasks are known, the last ones; as many as Celery knows.
const MOST_REVOKED: usize = 50_000;

impl Desk {
    /// A command has come.
    pub fn hear(self: &Arc<Self>, ask: Ask) {
        let is_meant = ask
            .destination
            .as_ref()
            .is_none_or(|names| names.contains(&self.worker.name));
        if !is_meant {
            return;
        }
        let own = Arc::clone(self);
        tokio::spawn(async move {
            let answer = match ask.order() {
                Ok(order) => own.obey(order).await,
                Err(error) => json!({"error": error.to_string()}),
            };
            if let Some(to) = &ask.reply_to {
                let link = own.link.lock().clone();
                let ticket = ask.ticket.as_deref().unwrap_or("");
                let _nobody_waits = link.reply(to, ticket, &own.worker.name, answer).await;
            }
            if ask.method == "shutdown" {
                own.end.send_replace(true);
            }
        });
    }

    async fn obey(self: &Arc<Self>, order: Order) -> Value {
        let command = match order {
            Order::Plain(command) => command,
            Order::Revoke { ids, terminate } => {
                for id in &ids {
                    self.revoke(id, terminate);
                }
                return json!({"ok": format!("tasks {} flagged as revoked", ids.join(", "))});
            }
        };
        match command {
            Command::Ping => json!({"ok": "pong"}),
            Command::Registered => json!(self.names()),
            Command::Active => self.list(|state| matches!(state, State::Active { .. })),
            Command::Reserved => self.list(|state| *state == State::Reserved),
            Command::Scheduled => self.list(|state| *state == State::Scheduled),
            Command::Revoked => json!(self.revoked.lock().order),
            Command::Queues => json!([{"name": self.worker.config.queue, "durable": true}]),
            Command::Stats => self.stats(),
            Command::RateLimit(task, per_second) => {
                if !self.worker.tasks.contains_key(&task) {
                    return json!({"error": format!("there is no task {task:?}")});
                }
                let mut pauses = self.pauses.lock();
                if per_second > 0.0 {
                    let pause =
                        Duration::try_from_secs_f64(1.0 / per_second).unwrap_or(Duration::MAX);
                    pauses.insert(task, (pause, Instant::now()));
                    json!({"ok": "new rate limit set successfully"})
                } else {
                    pauses.remove(&task);
                    json!({"ok": "rate limit disabled successfully"})
                }
            }
            Command::TimeLimit(task, limit) => {
                if !self.worker.tasks.contains_key(&task) {
                    return json!({"error": format!("there is no task {task:?}")});
                }
                let mut limits = self.time_limits.lock();
                match limit {
                    Some(limit) => limits.insert(task, limit),
                    None => limits.remove(&task),
                };
                json!({"ok": "time limits set successfully"})
            }
            Command::Grow(n) => {
                self.slots.add_permits(n);
                self.places.add_permits(n * (1 + self.worker.in_stock));
                let n_slots = self.n_slots.fetch_add(n, Ordering::Relaxed) + n;
                let _gone = self.allow().await;
                json!({"ok": format!("slots {n_slots}")})
            }
            Command::Shrink(n) => {
                let n = n.min(self.n_slots.load(Ordering::Relaxed) - 1);
                let n_slots = self.n_slots.fetch_sub(n, Ordering::Relaxed) - n;
                self.lose_places(n * (1 + self.worker.in_stock));
                let slots = Arc::clone(&self.slots);
                tokio::spawn(async move {
                    // Those in use go when their task has ended.
                    if let Ok(gone) = slots.acquire_many_owned(n as u32).await {
                        gone.forget();
                    }
                });
                let _gone = self.allow().await;
                json!({"ok": format!("slots {n_slots}")})
            }
            Command::Shutdown => json!({"ok": "goes when its tasks are done"}),
            Command::Revoke(id) | Command::Terminate(id) => {
                json!({"error": format!("{id}: sent in another way")})
            }
        }
    }

    fn revoke(self: &Arc<Self>, id: &str, terminate: bool) {
        {
            let mut revoked = self.revoked.lock();
            if revoked.ids.insert(id.to_owned()) {
                revoked.order.push_back(id.to_owned());
            }
            if revoked.order.len() > MOST_REVOKED
                && let Some(oldest) = revoked.order.pop_front()
            {
                revoked.ids.remove(&oldest);
            }
        }
        let mut all = self.held.lock();
        let Some(held) = all.get_mut(id) else {
            return;
        };
        match &held.state {
            State::Active { .. } if terminate => {
                if let Some(runs) = &held.runs {
                    runs.abort();
                }
            }
            // It sleeps, perhaps for hours; what waits for a slot sees it itself.
            State::Scheduled => {
                if let Some(attends) = held.attends.take() {
                    attends.abort();
                }
                held.state = State::Reserved;
                self.n_scheduled.fetch_sub(1, Ordering::Relaxed);
                let message = held.message.clone();
                let own = Arc::clone(self);
                tokio::spawn(async move {
                    // Its place was given away when it was set aside, and comes back with its end.
                    own.lose_places(1);
                    own.finish(&message, Outcome::Revoked("revoked".to_owned()))
                        .await;
                    let _gone = own.allow().await;
                });
            }
            _ => {}
        }
    }

    fn list(&self, wanted: impl Fn(&State) -> bool) -> Value {
        let all = self.held.lock();
        let chosen = all.values().filter(|held| wanted(&held.state));
        let mut entries: Vec<Value> = chosen.map(|held| self.entry(held)).collect();
        entries.sort_by_key(|entry| entry["id"].to_string());
        Value::from(entries)
    }

    fn entry(&self, held: &Held) -> Value {
        let headers = &held.message.headers;
        let (args, kwargs) = held.message.arguments().unwrap_or_default();
        let seconds = match held.state {
            State::Active { since } => Some(since.elapsed().as_secs_f64()),
            _ => None,
        };
        let entry = json!({
            "id": headers.id,
            "name": headers.task,
            "args": args,
            "kwargs": kwargs,
            "hostname": self.worker.name,
            "retries": headers.retries,
            "acknowledged": false,
            "running_for": seconds,
            "worker_pid": std::process::id(),
        });
        match held.state {
            State::Scheduled => {
                json!({"eta": headers.eta, "priority": held.message.priority, "request": entry})
            }
            _ => entry,
        }
    }

    fn stats(&self) -> Value {
        let totals: Map<String, Value> = self
            .totals
            .lock()
            .iter()
            .map(|(task, n)| (task.clone(), json!(n)))
            .collect();
        let done = self.done();
        let all = self.held.lock();
        let n_active = all
            .values()
            .filter(|held| matches!(held.state, State::Active { .. }))
            .count();
        json!({
            "total": totals,
            "pid": std::process::id(),
            "uptime": self.begun.elapsed().as_secs(),
            "pool": {"max-concurrency": self.n_slots.load(Ordering::Relaxed), "running": n_active},
            "held": all.len(),
            "succeeded": done.succeeded,
            "failed": done.failed,
            "retried": done.retried,
            "revoked": done.revoked,
            "refused": done.refused,
        })
    }
}
