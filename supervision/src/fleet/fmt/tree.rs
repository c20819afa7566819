//! Tokens as groups of items: what stands between brackets, between commas, with its comments.

use super::lex::{Kind, Token};

/// A part of an item.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// A word, a colon, or a block comment amid an item.
    Token(Token<'a>),
    /// A bracket with all in it.
    Group(Group<'a>),
}

/// `( .. )`, `[ .. ]` or `{ .. }`.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) open: &'a str,
    pub(super) items: Vec<Item<'a>>,
    pub(super) close: &'a str,
    /// Comments behind the last item, before the bracket closes.
    pub(super) last: Vec<Token<'a>>,
    /// The writer broke the line behind the opening bracket.
    pub(super) broken: bool,
}

/// What stands between two commas.
#[derive(Debug, Default)]
pub(super) struct Item<'a> {
    /// Comments before it.
    pub(super) before: Vec<Token<'a>>,
    pub(super) parts: Vec<Part<'a>>,
    /// Comments behind it on its last line.
    pub(super) behind: Vec<Token<'a>>,
    /// Line breaks before it.
    pub(super) breaks: usize,
}

/// The whole file: attributes and one value.
pub(super) fn read<'a>(tokens: &[Token<'a>]) -> Group<'a> {
    let mut at = 0;
    group(tokens, &mut at, "")
}

fn group<'a>(tokens: &[Token<'a>], at: &mut usize, open: &'a str) -> Group<'a> {
    let broken = tokens.get(*at).is_some_and(|next| next.breaks > 0);
    let mut group = Group { open, items: Vec::new(), close: "", last: Vec::new(), broken };
    let mut item = Item::default();
    // Whether the item is there but for what may stand behind its comma.
    let mut ended = false;
    while let Some(&token) = tokens.get(*at) {
        *at += 1;
        let comment = matches!(token.kind, Kind::Line | Kind::Block);
        let leads = token.kind == Kind::Block && leads(tokens.get(*at));
        if ended && !(comment && token.breaks == 0 && !leads) {
            group.items.push(std::mem::take(&mut item));
            ended = false;
        }
        if item.parts.is_empty() && item.before.is_empty() {
            item.breaks = if ended { item.breaks } else { token.breaks };
        }
        match token.kind {
            Kind::Close => {
                group.close = token.text;
                break;
            }
            Kind::Comma => ended = true,
            Kind::Open => {
                let inner = self::group(tokens, at, token.text);
                item.parts.push(Part::Group(inner));
            }
            Kind::Attribute => {
                item.parts.push(Part::Token(token));
                ended = true;
            }
            Kind::Block if item.parts.is_empty() && leads => item.parts.push(Part::Token(token)),
            _ if comment => take(&mut item, token, ended, tokens.get(*at)),
            _ => item.parts.push(Part::Token(token)),
        }
    }
    match item.parts.is_empty() {
        true => group.last = item.before,
        false => group.items.push(item),
    }
    group
}

/// Whether what comes next stands on the same line and goes on with an item.
fn leads(next: Option<&Token<'_>>) -> bool {
    let ends = [Kind::Close, Kind::Comma, Kind::Line, Kind::Block];
    next.is_some_and(|next| next.breaks == 0 && !ends.contains(&next.kind))
}

/// Puts a comment where it belongs: behind an item on its line, amid it, or before it.
fn take<'a>(item: &mut Item<'a>, token: Token<'a>, ended: bool, next: Option<&Token<'a>>) {
    // Nothing can stand behind a line comment.
    let free = item.behind.last().is_none_or(|last| last.kind == Kind::Block);
    let over = next.is_none_or(|next| !matches!(next.kind, Kind::Word | Kind::Colon | Kind::Open));
    if !item.parts.is_empty() && !ended && token.kind == Kind::Block && leads(next) {
        item.parts.push(Part::Token(token));
    } else if !item.parts.is_empty() && free && (ended || (over && token.breaks == 0)) {
        item.behind.push(token);
    } else {
        item.before.push(token);
    }
}
