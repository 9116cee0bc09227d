//! What the kernel says about itself.

use super::debug;
use crate::engine::template;
use crate::protocol;
use jupyter_protocol::{CodeMirrorMode, HelpLink, KernelInfoReply, LanguageInfo, ReplyStatus};
use serde_json::{Value, json};

/// The content of `kernel_info_reply`. Front ends wait for it before anything else, so it needs no
/// engine: the compiler's version is that of the prebuilt prelude, which is checked against the
/// compiler when the engine starts.
pub fn kernel_info() -> Value {
    let rustc = template::recorded().map_or_else(
        || env!("FORKLINE_BUILT_BY_RUSTC").to_owned(),
        |record| record.rustc,
    );
    let version = env!("CARGO_PKG_VERSION");
    let reply = KernelInfoReply {
        status: ReplyStatus::Ok,
        protocol_version: protocol::VERSION.to_owned(),
        implementation: "forkline".to_owned(),
        implementation_version: version.to_owned(),
        language_info: LanguageInfo {
            name: "rust".to_owned(),
            version: rustc.clone(),
            mimetype: Some("text/x-rust".to_owned()),
            file_extension: Some(".rs".to_owned()),
            pygments_lexer: Some("rust".to_owned()),
            codemirror_mode: Some(CodeMirrorMode::Simple("rust".to_owned())),
            nbconvert_exporter: Some("script".to_owned()),
        },
        banner: format!(
            "forkline {version}: Rust {rustc} for parallel experiments. %help lists what cells can do."
        ),
        help_links: [
            (
                "The Rust standard library",
                "https://doc.rust-lang.org/std/",
            ),
            ("rayon", "https://docs.rs/rayon"),
            ("crossbeam", "https://docs.rs/crossbeam"),
            ("tokio", "https://docs.rs/tokio"),
            ("plotters", "https://docs.rs/plotters"),
        ]
        .map(|(text, url)| HelpLink {
            text: text.to_owned(),
            url: url.to_owned(),
        })
        .to_vec(),
        debugger: debug::is_available(),
        error: None,
    };
    let mut content = serde_json::to_value(reply).unwrap_or_default();
    // The crate's type does not know this field yet (JEP 92).
    let mut features = vec!["iopub_welcome"];
    if debug::is_available() {
        features.push("debugger");
    }
    content["supported_features"] = json!(features);
    content
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reply_has_what_front_ends_ask_for() {
        let info = super::kernel_info();
        assert_eq!(info["language_info"]["name"], "rust");
        assert_eq!(info["language_info"]["pygments_lexer"], "rust");
        assert_eq!(info["status"], "ok");
        assert!(info["supported_features"].is_array());
    }
}
