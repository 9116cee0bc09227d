//! Labelled blocks in a cell: `'name: { … }`, by which `%%bench` knows what to compare.

use ra_ap_syntax::ast;
use ra_ap_syntax::{AstNode, Edition, SourceFile, SyntaxKind, SyntaxNode};
use std::ops::Range;

const WRAPPER: &str = "fn f(){";

/// A block with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledBlock {
    /// Without its quote.
    pub label: String,
    /// From the quote to the closing brace, in bytes of the text.
    pub range: Range<usize>,
}

/// A text cut into what comes first and labelled blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocks {
    pub blocks: Vec<LabelledBlock>,
    /// Line, from 1, of a statement that stands after the first block and is none itself.
    pub stray_line: Option<usize>,
}

/// Finds the labelled blocks among the statements of a text. One that does not parse has those that were
/// found nevertheless: the compiler will say what is wrong.
pub fn labelled_blocks(text: &str) -> Blocks {
    let parsed = SourceFile::parse(&format!("{WRAPPER}{text}\n}}"), Edition::Edition2024);
    let mut found = Blocks {
        blocks: Vec::new(),
        stray_line: None,
    };
    let function = parsed.syntax_node().children().find_map(ast::Fn::cast);
    let Some(list) = function.and_then(|function| function.body()?.stmt_list()) else {
        return found;
    };
    for node in list.syntax().children() {
        let range = node.text_range();
        let start = usize::from(range.start()) - WRAPPER.len();
        match label_of(&node) {
            Some((label, block)) => {
                let end = usize::from(block.text_range().end()) - WRAPPER.len();
                found.blocks.push(LabelledBlock {
                    label,
                    range: start..end,
                });
            }
            None if !found.blocks.is_empty() && found.stray_line.is_none() => {
                found.stray_line = Some(1 + text[..start].matches('\n').count());
            }
            None => {}
        }
    }
    found
}

/// The label of a statement that is a labelled block, and the block without a semicolon.
fn label_of(node: &SyntaxNode) -> Option<(String, SyntaxNode)> {
    let block = match node.kind() {
        SyntaxKind::BLOCK_EXPR => node.clone(),
        SyntaxKind::EXPR_STMT => node
            .children()
            .find(|child| child.kind() == SyntaxKind::BLOCK_EXPR)?,
        _ => return None,
    };
    let label = block.children().find_map(ast::Label::cast)?;
    let name = label.lifetime()?.syntax().text().to_string();
    Some((name.trim_start_matches('\'').to_owned(), block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_labels() {
        let text = "let n = 3;\n'one: { f(n) }\n// between\n'two: { g(n) };";
        let found = labelled_blocks(text);
        let parts: Vec<(&str, &str)> = found
            .blocks
            .iter()
            .map(|block| (block.label.as_str(), &text[block.range.clone()]))
            .collect();
        assert_eq!(
            parts,
            [("one", "'one: { f(n) }"), ("two", "'two: { g(n) }")]
        );
        assert_eq!(found.stray_line, None);
    }

    #[test]
    fn what_stands_between_blocks_is_named() {
        assert_eq!(
            labelled_blocks("'a: { 1 }\nlet x = 1;\n'b: { 2 }").stray_line,
            Some(2)
        );
        assert_eq!(
            labelled_blocks("{ 1 }\n'outer: loop { break 'outer; }").blocks,
            []
        );
        assert_eq!(labelled_blocks("").blocks, []);
    }
}
