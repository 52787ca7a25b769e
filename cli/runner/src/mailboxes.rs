//! The messages to the builds that run in this process: one mailbox for each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
};

use bakehouse_protocol::BuildId;

use crate::message::Message;

/// The mailboxes of the builds that run. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mailboxes(Arc<Mutex<BTreeMap<BuildId, Sender<Message>>>>);

impl Mailboxes {
    /// Opens the mailbox of a build, until it is dropped.
    pub(crate) fn open(&self, build: &BuildId) -> Mailbox {
        let (sender, messages) = mpsc::channel();
        self.senders(|senders| senders.insert(build.clone(), sender));
        Mailbox { build: build.clone(), messages, mailboxes: self.clone() }
    }

    /// Sends a message to a build. To one that has ended it is dropped.
    pub(crate) fn send(&self, build: &BuildId, message: Message) {
        self.senders(|senders| senders.get(build).map(|sender| sender.send(message)));
    }

    /// Makes every build that runs look whether it is to be cancelled.
    pub(crate) fn check_cancel(&self) {
        self.senders(|senders| senders.values().for_each(|sender| drop(sender.send(Message::CheckCancel))));
    }

    fn senders<T>(&self, f: impl FnOnce(&mut BTreeMap<BuildId, Sender<Message>>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The mailbox of one build.
pub(crate) struct Mailbox {
    pub(crate) build: BuildId,
    pub(crate) messages: Receiver<Message>,
    mailboxes: Mailboxes,
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.mailboxes.senders(|senders| senders.remove(&self.build));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reaches_its_build_only_and_a_check_all() {
        let (mailboxes, one, two) = (Mailboxes::default(), BuildId::from_parts(1, 1), BuildId::from_parts(1, 2));
        let (first, second) = (mailboxes.open(&one), mailboxes.open(&two));
        mailboxes.send(&one, Message::CheckCancel);
        assert_eq!((first.messages.try_iter().count(), second.messages.try_iter().count()), (1, 0));
        mailboxes.check_cancel();
        assert_eq!((first.messages.try_iter().count(), second.messages.try_iter().count()), (1, 1));
        drop(first);
        mailboxes.send(&one, Message::CheckCancel);
        mailboxes.check_cancel();
        assert_eq!(second.messages.try_iter().count(), 1);
    }
}
