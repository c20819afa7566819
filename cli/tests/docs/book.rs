//! A document as steps. Fences of kind `sh` are commands. A fence of kind `text` right behind one is what they print: each of its
//! lines is part of the output, `...` stands for anything. A comment right before a fence steers it:
//!
//! | comment | meaning |
//! |---|---|
//! | `<!-- background -->` | the one command goes on while the next are run; it is waited for until its text is there |
//! | `<!-- exit N -->` | the last command ends with this exit code; the others, and all without the comment, with 0 |
//! | `<!-- file: NAME -->` | a fence of any kind: its text becomes this file |
//! | `<!-- not run: WHY -->` | only shown |

/// What a fence asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Commands, the exit code of the last, what all of them print.
    Run { commands: Vec<String>, exit: i32, prints: Vec<String> },
    /// A command that goes on, and what it shows once it is up.
    Background { command: String, prints: Vec<String> },
    /// A file to write.
    File { name: String, text: String },
}

impl Step {
    pub(crate) fn commands(&self) -> &[String] {
        match self {
            Self::Run { commands, .. } => commands,
            Self::Background { command, .. } => std::slice::from_ref(command),
            Self::File { .. } => &[],
        }
    }
}

/// A fence with what stands before it.
struct Fence<'a> {
    kind: &'a str,
    comment: Option<&'a str>,
    lines: Vec<&'a str>,
    /// Nothing but empty lines between this fence and the one before.
    close: bool,
}

/// The steps of a document, or what is wrong with it.
pub(crate) fn read(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut shown_only = false;
    for fence in fences(text)? {
        if let Some(rest) = fence.comment.and_then(|comment| comment.strip_prefix("not run")) {
            if rest.trim_start_matches(':').trim().is_empty() {
                return Err("`not run` says why".to_owned());
            }
            shown_only = true;
            continue;
        }
        if let Some(name) = fence.comment.and_then(|comment| comment.strip_prefix("file: ")) {
            let text = format!("{}\n", fence.lines.join("\n"));
            steps.push(Step::File { name: name.to_owned(), text });
            continue;
        }
        match fence.kind {
            "sh" => {
                shown_only = false;
                steps.push(commands(&fence)?);
            }
            "text" if shown_only && fence.close => {}
            "text" => prints(&fence, steps.last_mut())?,
            "bash" | "shell" | "console" => {
                return Err(format!("{}: commands are `sh`", fence.kind));
            }
            _ => {}
        }
    }
    Ok(steps)
}

fn commands(fence: &Fence<'_>) -> Result<Step, String> {
    let mut commands = Vec::new();
    let mut open = String::new();
    for line in fence.lines.iter().filter(|line| !line.trim().is_empty()) {
        match line.strip_suffix('\\') {
            Some(part) => open.push_str(part),
            None => commands.push(std::mem::take(&mut open) + line),
        }
    }
    match fence.comment {
        None => Ok(Step::Run { commands, exit: 0, prints: Vec::new() }),
        Some("background") if commands.len() == 1 => {
            Ok(Step::Background { command: commands.remove(0), prints: Vec::new() })
        }
        Some(comment) => match comment.strip_prefix("exit ").map(str::parse) {
            Some(Ok(exit)) => Ok(Step::Run { commands, exit, prints: Vec::new() }),
            _ => Err(format!("no such comment before commands: {comment:?}")),
        },
    }
}

fn prints(fence: &Fence<'_>, step: Option<&mut Step>) -> Result<(), String> {
    let lines = fence.lines.iter().map(|line| line.trim().to_owned());
    match step {
        Some(Step::Run { prints, .. } | Step::Background { prints, .. })
            if fence.close && prints.is_empty() =>
        {
            prints.extend(lines.filter(|line| !line.is_empty() && line != "..."));
            Ok(())
        }
        _ => Err(format!("no command stands before this text: {:?}", fence.lines)),
    }
}

fn fences(text: &str) -> Result<Vec<Fence<'_>>, String> {
    let mut found: Vec<Fence<'_>> = Vec::new();
    let (mut comment, mut close) = (None, false);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let mut inside = Vec::new();
            loop {
                match lines.next() {
                    Some("```") => break,
                    Some(line) => inside.push(line),
                    None => return Err(format!("a fence has no end: {inside:?}")),
                }
            }
            found.push(Fence { kind: kind.trim(), comment, lines: inside, close });
            (comment, close) = (None, true);
        } else if let Some(steer) = line.strip_prefix("<!-- ").and_then(|l| l.strip_suffix(" -->"))
        {
            comment = Some(steer.trim());
        } else if !line.trim().is_empty() {
            (comment, close) = (None, false);
        }
    }
    Ok(found)
}
