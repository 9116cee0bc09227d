//! What is published, and when: stream text is gathered, a panic waits until it is known whether it
//! was caught, a display of evcxr's convention waits for its text twin.

use super::{Outputs, State, Stream};
use crate::protocol::{Channel, Outgoing, Parent};
use crate::session::bundle;
use crate::worker::frames::Kind;
use serde_json::{Map, Value, json};

impl Outputs {
    pub(super) fn append(&self, state: &mut State, parent: Parent, name: &'static str, text: &str) {
        // Nobody has asked for what the engine runs while it starts.
        if text.is_empty() || parent.header.is_null() {
            return;
        }
        let mut text = text;
        let mut note = String::new();
        if let Some(current) = &mut state.current
            && current.parent.id() == parent.id()
        {
            let before = current.written;
            if before > self.limit {
                return;
            }
            current.written += text.len();
            if current.written > self.limit {
                let mut keep = self.limit - before;
                while !text.is_char_boundary(keep) {
                    keep -= 1;
                }
                text = &text[..keep];
                note = format!(
                    "\n[output cut: this cell has written more than {} MB; the rest is dropped. \
                     FORKLINE_OUTPUT_LIMIT_MB in the kernel's environment changes the limit]\n",
                    self.limit >> 20
                );
            }
        }
        if let Some(stream) = &mut state.stream
            && stream.name == name
            && stream.parent.id() == parent.id()
        {
            stream.text.push_str(text);
        } else {
            self.flush_stream(state);
            state.stream = Some(Stream {
                parent,
                name,
                text: text.to_owned(),
            });
        }
        if let Some(stream) = &mut state.stream {
            stream.text.push_str(&note);
            if stream.text.len() > 64 * 1024 {
                self.flush_stream(state);
            }
        }
    }

    pub(super) fn flush_stream(&self, state: &mut State) {
        if let Some(stream) = state.stream.take()
            && !stream.text.is_empty()
        {
            self.wire.publish(
                &stream.parent,
                "stream",
                json!({ "name": stream.name, "text": stream.text }),
            );
        }
    }

    /// A panic that was not the end of the cell was caught: it is told as text, like everywhere.
    pub(super) fn flush_panic(&self, state: &mut State) {
        let Some(current) = &mut state.current else {
            return;
        };
        if let Some(report) = current.panic.take() {
            let parent = current.parent.clone();
            self.append(state, parent, "stderr", &report.as_stderr());
        }
    }

    pub(super) fn flush_convention(&self, state: &mut State) {
        let Some(current) = &mut state.current else {
            return;
        };
        if current.in_group {
            return;
        }
        if let Some(data) = current.convention.take() {
            let parent = current.parent.clone();
            self.flush_stream(state);
            self.publish_display(&parent, data);
        }
    }

    pub(super) fn publish_display(&self, parent: &Parent, data: Map<String, Value>) {
        self.wire.publish(
            parent,
            "display_data",
            json!({ "data": data, "metadata": {}, "transient": {} }),
        );
    }

    pub(super) fn flush_all(&self, state: &mut State) {
        self.flush_convention(state);
        self.flush_panic(state);
        for (index, name) in ["stdout", "stderr"].into_iter().enumerate() {
            if !state.tails[index].is_empty() {
                let text =
                    String::from_utf8_lossy(&std::mem::take(&mut state.tails[index])).into_owned();
                let parent = state.parent_of_current();
                self.append(state, parent, name, &text);
            }
        }
        self.flush_stream(state);
    }

    pub(super) fn show(&self, state: &mut State, parent: &Parent, message: Value) {
        let data = bundle::with_text(message["data"].as_object().cloned().unwrap_or_default());
        if data.is_empty() || parent.header.is_null() {
            return;
        }
        if message["convention"] == true {
            self.show_convention(state, parent, data);
            return;
        }
        self.flush_convention(state);
        self.flush_stream(state);
        let metadata = message["metadata"].as_object().cloned().unwrap_or_default();
        if message["result"] == true {
            self.publish_result(state, data, metadata);
            return;
        }
        let kind = if message["update"] == true {
            "update_display_data"
        } else {
            "display_data"
        };
        let transient = match message["display_id"].as_str() {
            Some(id) => json!({ "display_id": id }),
            None => json!({}),
        };
        self.wire.publish(
            parent,
            kind,
            json!({ "data": data, "metadata": metadata, "transient": transient }),
        );
    }

    /// A block of evcxr's display convention. Crates print the same thing as HTML and as text one
    /// after the other; two blocks of which neither is text are two things.
    fn show_convention(&self, state: &mut State, parent: &Parent, data: Map<String, Value>) {
        let twin = |one: &Map<String, Value>, other: &Map<String, Value>| {
            let is_text =
                |map: &Map<String, Value>| map.len() == 1 && map.contains_key("text/plain");
            is_text(one) != is_text(other) && !one.keys().any(|key| other.contains_key(key))
        };
        let is_current = state
            .current
            .as_ref()
            .is_some_and(|current| current.parent.id() == parent.id());
        if !is_current {
            self.flush_stream(state);
            self.publish_display(parent, data);
            return;
        }
        if let Some(current) = &mut state.current
            && let Some(open) = &mut current.convention
            && (current.in_group || twin(open, &data))
        {
            open.extend(data);
            return;
        }
        self.flush_convention(state);
        self.flush_stream(state);
        if let Some(current) = &mut state.current {
            current.convention = Some(data);
        }
    }

    pub(super) fn publish_result(
        &self,
        state: &mut State,
        data: Map<String, Value>,
        metadata: Map<String, Value>,
    ) {
        let data = bundle::with_text(data);
        let Some(current) = &mut state.current else {
            return;
        };
        if current.capturing {
            current.capture = Some(data);
            return;
        }
        current.facts.result = data
            .get("text/plain")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if current.show_result && !data.is_empty() {
            let content = json!({
                "execution_count": current.count,
                "data": data,
                "metadata": metadata,
            });
            self.wire
                .publish(&current.parent, "execute_result", content);
        }
    }

    pub(super) fn report(&self, state: &mut State, message: &Value) {
        let name = message["report"].as_str().unwrap_or_default();
        if name != "group" {
            if let Some(current) = &mut state.current {
                let (facts, value) = (&mut current.facts, message["value"].clone());
                if name == "profile" {
                    facts.profiles.push(value);
                } else {
                    facts.reports.insert(name.to_owned(), value);
                }
            }
            return;
        }
        // The display convention of a cell's last expression: all it prints is one result.
        self.flush_convention(state);
        self.flush_stream(state);
        let begins = message["value"] == "begin";
        let Some(current) = &mut state.current else {
            return;
        };
        current.in_group = begins;
        if !begins && let Some(data) = current.convention.take() {
            self.publish_result(state, data, Map::new());
        }
    }

    pub(super) fn ask(&self, state: &mut State, request: &Value) {
        let allowed = state
            .current
            .as_ref()
            .filter(|current| current.allow_stdin)
            .map(|current| current.parent.clone());
        match allowed {
            Some(parent) => self.wire.send(Outgoing {
                channel: Channel::Stdin,
                kind: "input_request",
                parent,
                metadata: json!({}),
                content: request.clone(),
            }),
            None => {
                state.tell(Kind::InputReply, b"{}");
            }
        }
    }
}
