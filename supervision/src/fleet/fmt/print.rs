//! Groups as text: on one line where they fit and the writer did not break them; otherwise with their last item alone broken, as in
//! `Supervisor(id: "a", children: [`; otherwise an item a line, items that stood on one line staying together.

use super::lex::{Kind, Token};
use super::tree::{Group, Item, Part};

/// Characters of a line, where it can be helped.
const WIDTH: usize = 120;
/// Spaces of one level.
const INDENT: usize = 4;

pub(super) fn print(file: &Group<'_>) -> String {
    let mut out = String::new();
    for (index, item) in file.items.iter().enumerate() {
        if index > 0 && item.breaks > 1 {
            out.push('\n');
        }
        before(item, 0, &mut out);
        parts(item, 0, &mut out);
        behind(item, &mut out);
        out.push('\n');
    }
    for (index, comment) in file.last.iter().enumerate() {
        if comment.breaks > 1 && (index > 0 || !file.items.is_empty()) {
            out.push('\n');
        }
        out.push_str(comment.text);
        out.push('\n');
    }
    out
}

fn before(item: &Item<'_>, level: usize, out: &mut String) {
    for comment in &item.before {
        out.push_str(comment.text);
        line(level, out);
    }
}

fn behind(item: &Item<'_>, out: &mut String) {
    for comment in &item.behind {
        out.push(' ');
        out.push_str(comment.text);
    }
}

fn line(level: usize, out: &mut String) {
    out.push('\n');
    out.push_str(&" ".repeat(level * INDENT));
}

/// Characters on the last line.
fn column(out: &str) -> usize {
    out.rsplit('\n').next().unwrap_or("").chars().count()
}

/// An item without its comments; groups in it are broken where they must be.
fn parts(item: &Item<'_>, level: usize, out: &mut String) {
    if let Some(flat) = flat_item(item)
        && column(out) + flat.chars().count() < WIDTH
    {
        out.push_str(&flat);
        return;
    }
    let mut last: Option<&Token<'_>> = None;
    for part in &item.parts {
        match part {
            Part::Token(token) => {
                space(last, token, out);
                out.push_str(token.text);
                last = Some(token);
            }
            Part::Group(group) => {
                gap(last, out);
                broken(group, level, out);
                last = None;
            }
        }
    }
}

/// A space between two tokens, where there is one.
fn space(last: Option<&Token<'_>>, next: &Token<'_>, out: &mut String) {
    if last.is_some() && next.kind != Kind::Colon {
        out.push(' ');
    }
}

/// Before an opening bracket: none behind a name, one behind a colon.
fn gap(last: Option<&Token<'_>>, out: &mut String) {
    if last.is_some_and(|last| matches!(last.kind, Kind::Colon | Kind::Block)) {
        out.push(' ');
    }
}

/// The item on one line; none when a comment or the writer's line break stands in it.
fn flat_item(item: &Item<'_>) -> Option<String> {
    flat_parts(&item.parts)
}

fn flat_parts(parts: &[Part<'_>]) -> Option<String> {
    let mut out = String::new();
    let mut last: Option<&Token<'_>> = None;
    for part in parts {
        match part {
            Part::Token(token) if token.text.contains('\n') => return None,
            Part::Token(token) => {
                space(last, token, &mut out);
                out.push_str(token.text);
                last = Some(token);
            }
            Part::Group(group) => {
                gap(last, &mut out);
                out.push_str(&flat_group(group)?);
                last = None;
            }
        }
    }
    Some(out)
}

fn flat_group(group: &Group<'_>) -> Option<String> {
    let items: Option<Vec<String>> = group.items.iter().map(flat_bare).collect();
    let items = items?;
    if group.broken && !items.is_empty() || !group.last.is_empty() {
        return None;
    }
    let inner = items.join(", ");
    let pad = if group.open == "{" && !inner.is_empty() { " " } else { "" };
    Some(format!("{}{pad}{inner}{pad}{}", group.open, group.close))
}

fn flat_bare(item: &Item<'_>) -> Option<String> {
    let bare = item.before.is_empty() && item.behind.is_empty();
    if bare { flat_item(item) } else { None }
}

/// A group that does not stand on one line.
fn broken(group: &Group<'_>, level: usize, out: &mut String) {
    if let Some(flat) = flat_group(group)
        && column(out) + flat.chars().count() < WIDTH
    {
        out.push_str(&flat);
        return;
    }
    if !group.broken && hugged(group, level, out) {
        return;
    }
    out.push_str(group.open);
    for (index, item) in group.items.iter().enumerate() {
        let together = index > 0 && item.breaks == 0 && item.before.is_empty();
        let fits = |out: &String, flat: &String| column(out) + 2 + flat.chars().count() < WIDTH;
        let calm = index > 0 && group.items.get(index - 1).is_some_and(|l| l.behind.is_empty());
        if together && calm && flat_item(item).is_some_and(|flat| fits(out, &flat)) {
            out.push(' ');
        } else {
            if index > 0 && (item.breaks > 1) {
                out.push('\n');
            }
            line(level + 1, out);
        }
        before(item, level + 1, out);
        parts(item, level + 1, out);
        out.push(',');
        behind(item, out);
    }
    for comment in &group.last {
        line(level + 1, out);
        out.push_str(comment.text);
    }
    line(level, out);
    out.push_str(group.close);
}

/// All items on the first line, the last one broken; `false`, with nothing written, where that cannot be.
fn hugged(group: &Group<'_>, level: usize, out: &mut String) -> bool {
    let Some((last, first)) = group.items.split_last() else { return false };
    let Some((Part::Group(inner), lead)) = last.parts.split_last() else { return false };
    let plain = last.before.is_empty() && last.behind.is_empty() && group.last.is_empty();
    let alone = first.is_empty() && lead.is_empty();
    if !plain || alone || group.open != "(" || inner.items.is_empty() {
        return false;
    }
    let first: Option<Vec<String>> = first.iter().map(flat_bare).collect();
    let (Some(mut heads), Some(lead)) = (first, flat_parts(lead)) else { return false };
    heads.push(lead);
    let head = heads.join(", ");
    // Both brackets and the space behind a colon.
    if column(out) + head.chars().count() + 3 > WIDTH {
        return false;
    }
    out.push_str(group.open);
    out.push_str(&head);
    if let [.., Part::Token(token), Part::Group(_)] = last.parts.as_slice() {
        gap(Some(token), out);
    }
    broken(inner, level, out);
    out.push_str(group.close);
    true
}
