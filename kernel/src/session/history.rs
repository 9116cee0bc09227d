//! What was typed, kept between sessions in an SQLite file.
//!
//! The tables are those of IPython's history in small: a session has a number, a cell has its
//! execution count as line. A file that cannot be opened or is broken costs the history, never a
//! cell.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};
use std::path::Path;

/// The history of this and earlier sessions.
pub struct History {
    database: Connection,
    session: i64,
}

impl History {
    /// Opens the file, or a history in memory if that fails.
    pub fn open(path: &Path) -> History {
        Self::try_open(path).unwrap_or_else(|error| {
            eprintln!(
                "forkline: {} cannot be used, so this session's history is not kept: {error}",
                path.display()
            );
            let memory = Connection::open_in_memory().expect("SQLite works in memory");
            Self::with(memory).expect("an empty history can be set up")
        })
    }

    fn try_open(path: &Path) -> rusqlite::Result<History> {
        let database = Connection::open(path)?;
        database.busy_timeout(std::time::Duration::from_secs(1))?;
        Self::with(database)
    }

    fn with(database: Connection) -> rusqlite::Result<History> {
        // Losing the last cells in a power cut is better than waiting for the disk at each cell.
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "OFF")?;
        database.execute_batch(
            "CREATE TABLE IF NOT EXISTS sessions (
                 session INTEGER PRIMARY KEY AUTOINCREMENT, start TEXT DEFAULT CURRENT_TIMESTAMP);
             CREATE TABLE IF NOT EXISTS history (
                 session INTEGER, line INTEGER, source TEXT, output TEXT,
                 PRIMARY KEY (session, line));",
        )?;
        database.execute("INSERT INTO sessions DEFAULT VALUES", [])?;
        let session = database.last_insert_rowid();
        Ok(History { database, session })
    }

    /// Keeps a cell.
    pub fn store(&self, line: usize, source: &str) {
        let _ = self.database.execute(
            "INSERT OR REPLACE INTO history (session, line, source) VALUES (?1, ?2, ?3)",
            params![self.session, line as i64, source],
        );
    }

    /// Keeps the text of a cell's result.
    pub fn store_output(&self, line: usize, output: &str) {
        let _ = self.database.execute(
            "UPDATE history SET output = ?3 WHERE session = ?1 AND line = ?2",
            params![self.session, line as i64, output],
        );
    }

    /// Serves a `history_request`: the list for the reply, oldest first.
    pub fn answer(&self, request: &Value) -> Vec<Value> {
        let with_output = request["output"].as_bool().unwrap_or(false);
        let number = |name: &str| request[name].as_i64();
        let result = match request["hist_access_type"].as_str() {
            Some("range") => self.range(
                number("session").unwrap_or(0),
                number("start").unwrap_or(0),
                number("stop").unwrap_or(i64::MAX),
                with_output,
            ),
            Some("search") => {
                let pattern = request["pattern"].as_str().unwrap_or("*");
                let unique = request["unique"].as_bool().unwrap_or(false);
                self.latest(number("n"), Some(pattern), unique, with_output)
            }
            _ => self.latest(number("n"), None, false, with_output),
        };
        result.unwrap_or_else(|error| {
            eprintln!("forkline: the history cannot be read: {error}");
            Vec::new()
        })
    }

    /// Session 0 is this one, negative numbers count back from it.
    fn range(
        &self,
        session: i64,
        start: i64,
        stop: i64,
        with_output: bool,
    ) -> rusqlite::Result<Vec<Value>> {
        let session = if session <= 0 {
            self.database
                .query_row(
                    "SELECT session FROM sessions WHERE session <= ?1
                     ORDER BY session DESC LIMIT 1 OFFSET ?2",
                    params![self.session, -session],
                    |row| row.get(0),
                )
                .optional()?
                .unwrap_or(0)
        } else {
            session
        };
        let mut statement = self.database.prepare(
            "SELECT session, line, source, output FROM history
             WHERE session = ?1 AND line >= ?2 AND line < ?3 ORDER BY line",
        )?;
        let rows =
            statement.query_map(params![session, start, stop], |row| entry(row, with_output))?;
        rows.collect()
    }

    fn latest(
        &self,
        n: Option<i64>,
        pattern: Option<&str>,
        unique: bool,
        with_output: bool,
    ) -> rusqlite::Result<Vec<Value>> {
        // A Jupyter pattern knows `*` and `?`; GLOB would read brackets as a set of characters.
        let pattern = pattern.map(|pattern| pattern.replace('[', "[[]"));
        let latest_only = if unique {
            "AND rowid = (SELECT max(h.rowid) FROM history h WHERE h.source = history.source)"
        } else {
            ""
        };
        let mut statement = self.database.prepare(&format!(
            "SELECT session, line, source, output FROM history
             WHERE source GLOB coalesce(?1, '*') {latest_only}
             ORDER BY session DESC, line DESC LIMIT ?2"
        ))?;
        let rows = statement.query_map(params![pattern, n.unwrap_or(-1)], |row| {
            entry(row, with_output)
        })?;
        let mut entries: Vec<Value> = rows.collect::<Result<_, _>>()?;
        entries.reverse();
        Ok(entries)
    }
}

fn entry(row: &rusqlite::Row<'_>, with_output: bool) -> rusqlite::Result<Value> {
    let (session, line, source): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let output: Option<String> = row.get(3)?;
    Ok(if with_output {
        json!([session, line, [source, output]])
    } else {
        json!([session, line, source])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let history = History::with(Connection::open_in_memory().unwrap()).unwrap();
        for (line, source) in [(1, "let x = 1;"), (2, "x"), (3, "x"), (4, "a[0]")] {
            history.store(line, source);
        }
        history.store_output(2, "1");
        history
    }

    #[test]
    fn tail_gives_the_last_cells_oldest_first() {
        let request = json!({"hist_access_type": "tail", "n": 2});
        assert_eq!(
            history().answer(&request),
            [json!([1, 3, "x"]), json!([1, 4, "a[0]"])]
        );
    }

    #[test]
    fn output_comes_as_a_pair() {
        let request = json!({"hist_access_type": "range", "start": 1, "stop": 3, "output": true});
        assert_eq!(
            history().answer(&request),
            [
                json!([1, 1, ["let x = 1;", null]]),
                json!([1, 2, ["x", "1"]])
            ]
        );
    }

    #[test]
    fn search_takes_patterns_literally_apart_from_stars() {
        let search = |pattern: &str, unique: bool| {
            history().answer(&json!({
                "hist_access_type": "search", "pattern": pattern, "unique": unique, "n": 10
            }))
        };
        assert_eq!(search("x", false).len(), 2);
        assert_eq!(search("x", true), [json!([1, 3, "x"])]);
        assert_eq!(search("a[0]*", false), [json!([1, 4, "a[0]"])]);
        assert_eq!(search("*let*", false), [json!([1, 1, "let x = 1;"])]);
    }
}
