//! How the engine asks its analyzer.
//!
//! What is analysed is the text that evcxr would analyse: all items of the session, a function with the
//! variables and their types, in it the cell. evcxr makes it whenever it is asked for completions, and
//! leaves it in the session's folder. It is asked at a place inside a comment, where its own
//! rust-analyzer, which knows no library here, has nothing to say and says it at once; the comment
//! tells the place in the text that comes back.

use super::analyzer::{Analyzer, Answer, Question, Remote, Wanted};
use super::annotate::{self, Annotated};
use super::driver::dependencies_in;
use super::{Candidate, Completion, Content, Engine, RustSource, analyzer, cell, driver};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Stands in a text at the place that is asked for.
const MARK: &str = "/*forkline-mark*/";

/// The analyzer of a session, which starts on a thread of its own.
pub struct Analysis {
    state: State,
    /// Somebody waits for the analyzer to start.
    wanted: Arc<AtomicBool>,
}

enum State {
    Starting(JoinHandle<anyhow::Result<Seat>>),
    Ready(Seat),
    Failed,
}

/// Where the analyzer is: in a process that began as a copy of one that all kernels have, or here.
enum Seat {
    Elsewhere(Remote),
    Here(Box<Analyzer>),
}

impl Seat {
    fn ask(&mut self, session: &Path, question: &Question) -> anyhow::Result<Answer> {
        let mut again = true;
        loop {
            let told = match self {
                Seat::Here(analyzer) => analyzer.answer(question),
                Seat::Elsewhere(remote) => match remote.ask(question) {
                    Ok(told) => told,
                    // Its process was ended. All that it knew can be known again.
                    Err(_) => {
                        *self = match Remote::attach(session) {
                            Ok(remote) if again => Seat::Elsewhere(remote),
                            _ => Seat::Here(Box::new(Analyzer::of_template(session)?)),
                        };
                        again = false;
                        continue;
                    }
                },
            };
            let (answer, notes) = told;
            for note in notes {
                eprintln!("forkline: {note}");
            }
            return answer;
        }
    }
}

impl Analysis {
    /// Begins to load what the template knows; none if it knows nothing.
    pub fn start(session: &Path) -> Option<Analysis> {
        let folder = session.to_owned();
        if !analyzer::has_project(&crate::home::template_dir()) {
            return None;
        }
        let wanted = Arc::new(AtomicBool::new(false));
        let is_wanted = Arc::clone(&wanted);
        let thread = std::thread::Builder::new()
            .name("analyzer".to_owned())
            .stack_size(analyzer::STACK)
            .spawn(move || {
                if let Ok(remote) = Remote::attach(&folder) {
                    return Ok(Seat::Elsewhere(remote));
                }
                let mut analyzer = Analyzer::of_template(&folder)?;
                analyzer.warm_up();
                // Pairs with the store in `wait`; a late answer costs a tenth of a second.
                if !is_wanted.load(Ordering::Relaxed) {
                    analyzer.warm_up_more();
                }
                Ok(Seat::Here(Box::new(analyzer)))
            });
        Some(Analysis {
            state: State::Starting(thread.ok()?),
            wanted,
        })
    }

    /// Waits until it has started; whether it has.
    fn wait(&mut self) -> bool {
        if let State::Starting(_) = self.state
            && let State::Starting(thread) = std::mem::replace(&mut self.state, State::Failed)
        {
            self.wanted.store(true, Ordering::Relaxed);
            let loaded = thread.join().unwrap_or_else(|_| {
                Err(anyhow::anyhow!("rust-analyzer panicked while it started"))
            });
            match loaded {
                Ok(seat) => self.state = State::Ready(seat),
                Err(error) => eprintln!("forkline: no analyzer: {error:#}"),
            }
        }
        matches!(self.state, State::Ready(_))
    }

    /// Asks about a text, with the dependencies of the session in this folder.
    fn ask(&mut self, session: &Path, text: String, wanted: Wanted) -> anyhow::Result<Answer> {
        let State::Ready(seat) = &mut self.state else {
            anyhow::bail!("there is no analyzer in this session");
        };
        let manifest = std::fs::read_to_string(session.join("Cargo.toml"))?;
        let question = Question {
            dependencies: dependencies_in(&manifest),
            text,
            wanted,
        };
        seat.ask(session, &question)
    }
}

impl Engine {
    /// Whether there is an analyzer. If it could not start, evcxr's own takes its place from now on.
    pub(super) fn has_analyzer(&mut self) -> bool {
        let Some(analysis) = &mut self.analysis else {
            return false;
        };
        if analysis.wait() {
            return true;
        }
        self.analysis = None;
        driver::stand_in::stop_answering_analysis(&self.session.path);
        if let Err(error) = RustSource::hidden(&self.session.path).and_then(|it| it.reveal()) {
            eprintln!("forkline: the standard library stays unknown: {error:#}");
        }
        // evcxr's loads its project again when Cargo.toml has another text; this is the same to cargo.
        let _ = self.context.set_opt_level(" 3");
        false
    }

    fn ask(&mut self, text: String, wanted: Wanted) -> anyhow::Result<Answer> {
        let Some(analysis) = &mut self.analysis else {
            anyhow::bail!("there is no analyzer in this session");
        };
        analysis.ask(&self.session.path, text, wanted)
    }

    /// A cell's text with the types of its variables, for evcxr. None where none are missing, or none
    /// are known.
    pub(super) fn with_types(&mut self, text: &str) -> Option<Annotated> {
        if !annotate::is_needed(text) || !self.has_analyzer() {
            return None;
        }
        // Of commands, only those count that bring crates.
        let (commands, code) = text.split_at(cell::code_start(text));
        let mut analysed: String = commands
            .split_inclusive('\n')
            .filter(|line| line.trim_start().starts_with(":dep"))
            .collect();
        analysed.push_str(code);
        let end = analysed.len();
        let (source, _) = self.analysed(&analysed, end).ok()?;
        let Ok(Answer::Variables(lets)) = self.ask(source, Wanted::Variables) else {
            return None;
        };
        annotate::annotate(text, &lets)
    }

    /// Candidates for the text before a byte position.
    pub fn complete(&mut self, text: &str, position: usize) -> anyhow::Result<Completion> {
        let line = text[..position]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        if line < cell::code_start(text) || !self.has_analyzer() {
            return self.complete_by_evcxr(text, position);
        }
        let (source, offset) = self.analysed(text, position)?;
        let Answer::Completion(found) = self.ask(source, Wanted::Completion(offset))? else {
            anyhow::bail!("the analyzer answers another question");
        };
        let to_text = |at: usize| (at + position).saturating_sub(offset).min(text.len());
        Ok(Completion {
            range: to_text(found.range.start)..to_text(found.range.end),
            candidates: found
                .items
                .into_iter()
                .map(|item| Candidate {
                    text: insertable(item.text),
                    kind: item.kind,
                })
                .collect(),
        })
    }

    fn complete_by_evcxr(&mut self, text: &str, position: usize) -> anyhow::Result<Completion> {
        let found = self.context.completions(text, position)?;
        Ok(Completion {
            range: found.start_offset..found.end_offset,
            candidates: found
                .completions
                .into_iter()
                .map(|candidate| Candidate {
                    text: insertable(candidate.code),
                    kind: candidate.kind.to_owned(),
                })
                .collect(),
        })
    }

    /// Documentation of what ends at a byte position: plain text and HTML.
    pub fn inspect(&mut self, text: &str, position: usize) -> Option<(String, String)> {
        let (plain, html) = if self.has_analyzer() {
            self.describe(&text[..position])?
        } else {
            self.context.hover_at(text, position).ok()?
        };
        (plain != "No documentation found" && !plain.trim().is_empty()).then_some((plain, html))
    }

    /// Documentation of the name at the end of a text, as evcxr finds it.
    pub(super) fn describe(&mut self, text: &str) -> Option<(String, String)> {
        let (text, at) = if text == "let" {
            ("let _ = 1;".to_owned(), 0)
        } else if text.ends_with('(') {
            // A method is known only where it is called.
            (format!("{text});"), text.len() - 1)
        } else {
            (format!("{text};"), text.len())
        };
        let (source, offset) = self.analysed(&text, at).ok()?;
        let Ok(Answer::Description(found)) = self.ask(source, Wanted::Description(offset)) else {
            return None;
        };
        let (plain, markdown) = found?;
        let mut html = String::new();
        pulldown_cmark::html::push_html(&mut html, pulldown_cmark::Parser::new(&markdown));
        Some((plain, html))
    }

    /// Answers `:doc name`, which evcxr would ask its own rust-analyzer: the text without these lines, and
    /// what they show. None if there are none.
    pub(super) fn documentation(&mut self, text: &str) -> Option<(String, Content)> {
        let end = cell::code_start(text);
        let is_asked = |line: &str| line.trim_start().starts_with(":doc ");
        if !text[..end].lines().any(is_asked) || !self.has_analyzer() {
            return None;
        }
        let mut rest = String::new();
        let mut content = Content::new();
        for line in text[..end].split_inclusive('\n') {
            if !is_asked(line) {
                rest.push_str(line);
                continue;
            }
            if line.ends_with('\n') {
                rest.push('\n');
            }
            let name = line.trim().trim_start_matches(":doc ").trim();
            let (plain, html) = self.describe(name).unwrap_or_else(|| {
                let nothing = "No documentation found".to_owned();
                (nothing.clone(), nothing)
            });
            content
                .entry("text/plain".to_owned())
                .or_default()
                .push_str(&plain);
            content
                .entry("text/html".to_owned())
                .or_default()
                .push_str(&html);
        }
        rest.push_str(&text[end..]);
        Some((rest, content))
    }

    /// What evcxr analyses for a text, and where a byte of the text is in it.
    fn analysed(&mut self, text: &str, position: usize) -> anyhow::Result<(String, usize)> {
        // Not within a word, and not before one either: evcxr cuts a cell where its statements begin.
        let word_end = cell::word_at(text, position).end;
        let mut marked = text.to_owned();
        marked.insert_str(word_end, MARK);
        self.context.completions(&marked, word_end + "/*".len())?;
        let mut source = std::fs::read_to_string(self.session.path.join("src/lib.rs"))?;
        let mark = source
            .find(MARK)
            .ok_or_else(|| anyhow::anyhow!("evcxr does not analyse this text"))?;
        source.replace_range(mark..mark + MARK.len(), "");
        Ok((source, mark - (word_end - position)))
    }
}

/// evcxr offers labels such as `push(…)`; what is to be inserted is the name.
fn insertable(label: String) -> String {
    let is_name = |char: char| char.is_alphanumeric() || matches!(char, '_' | '!' | '>');
    match label.find('(') {
        Some(open) if label[..open].ends_with(is_name) => label[..open].to_owned(),
        _ => label,
    }
}
