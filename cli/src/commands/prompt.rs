//! Asks the person at the terminal how a build is to go on: at a breakpoint, with `-debug`, and after a failure with
//! `-on-error=ask`.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use bakehouse_protocol::{Answer, BuildId, Waiting};
use bakehouse_runner::AnswerHandle;
use console::style;

use crate::screen::Screen;

/// Asks, one question after the other. Clones share the terminal.
#[derive(Clone, Default)]
pub(super) struct Prompt {
    terminal: Arc<Mutex<()>>,
    /// What was answered last about each build.
    answers: Arc<Mutex<BTreeMap<BuildId, Answer>>>,
}

impl Prompt {
    /// Asks what a job waits for, in a thread of its own: the build goes on being driven meanwhile, and can be
    /// cancelled.
    pub(super) fn answer_job(&self, build: BuildId, waiting: Waiting, screen: Screen, handle: AnswerHandle) {
        let prompt = self.clone();
        // If there is no thread, nobody answers: the build can still be cancelled.
        let _ = thread::Builder::new().name("prompt".to_owned()).spawn(move || {
            let answer = prompt.ask(&question(&waiting), &screen, |line| parse(&waiting, line));
            prompt.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(build.clone(), answer);
            handle.answer(&build, answer);
        });
    }

    /// Returns whether what a failed build has made is to be removed. If its job was asked already, that answer counts.
    pub(super) fn removes(&self, build: &BuildId, screen: &Screen) -> bool {
        let given = self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(build).copied();
        let answer = given.filter(|answer| matches!(answer, Answer::Cleanup | Answer::Abort)).unwrap_or_else(|| {
            self.ask("[c] clean up, [a] leave what was made", screen, |line| match line {
                "" | "c" => Some(Answer::Cleanup),
                "a" => Some(Answer::Abort),
                _ => None,
            })
        });
        answer == Answer::Cleanup
    }

    /// Asks until the answer is one. The end of the input is an empty answer.
    fn ask(&self, question: &str, screen: &Screen, parse: impl Fn(&str) -> Option<Answer>) -> Answer {
        let _terminal = self.terminal.lock().unwrap_or_else(PoisonError::into_inner);
        screen.clear_status();
        loop {
            screen.line(&format!("    {} {question}", style("?").cyan().bold().for_stderr()));
            let mut line = String::new();
            let end = !matches!(io::stdin().read_line(&mut line), Ok(read) if read > 0);
            let line = line.trim().to_lowercase();
            match parse(&line) {
                Some(answer) => return answer,
                None if end => return Answer::Cleanup,
                None => {}
            }
        }
    }
}

/// Returns what is asked.
fn question(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Breakpoint { .. } | Waiting::Next { .. } => "press Enter to go on".to_owned(),
        Waiting::Failed { .. } => "[c] clean up, [a] end and leave what was made, [r] run the step again".to_owned(),
    }
}

/// Returns the answer that a line is; `None`: it is none.
fn parse(waiting: &Waiting, line: &str) -> Option<Answer> {
    match (waiting, line) {
        (Waiting::Breakpoint { .. } | Waiting::Next { .. }, _) => Some(Answer::Continue),
        (Waiting::Failed { .. }, "" | "c") => Some(Answer::Cleanup),
        (Waiting::Failed { .. }, "a") => Some(Answer::Abort),
        (Waiting::Failed { .. }, "r") => Some(Answer::Retry),
        (Waiting::Failed { .. }, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_takes_packers_letters() {
        let failed = Waiting::Failed { message: "exit 1".to_owned() };
        let answers = ["c", "", "a", "r", "x"].map(|line| parse(&failed, line));
        let (cleanup, abort, retry) = (Some(Answer::Cleanup), Some(Answer::Abort), Some(Answer::Retry));
        assert_eq!(answers, [cleanup, cleanup, abort, retry, None]);
    }

    #[test]
    fn a_breakpoint_goes_on_at_any_line() {
        let breakpoint = Waiting::Breakpoint { note: String::new() };
        assert_eq!(["", "x"].map(|line| parse(&breakpoint, line)), [Some(Answer::Continue); 2]);
    }
}
