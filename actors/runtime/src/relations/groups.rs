//! Groups, as OTP's `pg` has them: a child may be in several, and in one several times; it leaves all with its end; a group that
//! nobody is in is none. Start reading at [`Relations::join`].

use super::{Name, Relations, Table};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Groups of one node.
pub const GROUPS_MAX: usize = 10_000;

/// Members of one group, each counted as often as it joined.
pub const MEMBERS_MAX: usize = 100_000;

/// Why a child did not join.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// It does not live.
    #[error("{0} does not run")]
    NoProc(String),
    /// See [`GROUPS_MAX`].
    #[error("{GROUPS_MAX} groups are there already")]
    TooManyGroups,
    /// See [`MEMBERS_MAX`].
    #[error("the group {0} has {MEMBERS_MAX} members already")]
    TooManyMembers(String),
    /// It is no member.
    #[error("{member} is not in the group {group}")]
    NotJoined {
        /// Who.
        member: String,
        /// In which group.
        group: String,
    },
}

impl GroupError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoProc(_) => "noproc",
            Self::TooManyGroups => "too_many_groups",
            Self::TooManyMembers(_) => "too_many_members",
            Self::NotJoined { .. } => "not_joined",
        }
    }
}

impl Relations {
    /// A child that lives becomes a member.
    ///
    /// # Errors
    /// [`GroupError`].
    pub fn join(&self, group: &str, member: &str) -> Result<(), GroupError> {
        let listeners = {
            let mut table = self.table();
            let Some((member, _)) = table.living.get_key_value(member) else {
                return Err(GroupError::NoProc(member.to_owned()));
            };
            let member = Arc::clone(member);
            if table.groups.len() >= GROUPS_MAX && !table.groups.contains_key(group) {
                return Err(GroupError::TooManyGroups);
            }
            let group: Name = group.into();
            let members = table.groups.entry(Arc::clone(&group)).or_default();
            if members.len() >= MEMBERS_MAX {
                return Err(GroupError::TooManyMembers(group.to_string()));
            }
            members.push(Arc::clone(&member));
            if let Some(living) = table.living.get_mut(&member) {
                living.ties().groups.insert(group);
            }
            table.listeners()
        };
        listeners.iter().for_each(|listener| listener.joined(group, member));
        Ok(())
    }

    /// A member leaves, once for each time that it joined.
    ///
    /// # Errors
    /// [`GroupError::NotJoined`].
    pub fn leave(&self, group: &str, member: &str) -> Result<(), GroupError> {
        let listeners = {
            let mut table = self.table();
            let members = table.groups.get_mut(group);
            let at = members.as_ref().and_then(|all| all.iter().position(|name| &**name == member));
            let (Some(members), Some(at)) = (members, at) else {
                let (member, group) = (member.to_owned(), group.to_owned());
                return Err(GroupError::NotJoined { member, group });
            };
            members.remove(at);
            let (more, empty) = (members.iter().any(|name| &**name == member), members.is_empty());
            if empty {
                table.groups.remove(group);
            }
            if !more && let Some(living) = table.living.get_mut(member) {
                living.ties().groups.remove(group);
            }
            table.listeners()
        };
        listeners.iter().for_each(|listener| listener.left(group, member));
        Ok(())
    }

    /// Who is in a group, in the order of joining.
    pub fn members(&self, group: &str) -> Vec<Arc<str>> {
        self.table().groups.get(group).cloned().unwrap_or_default()
    }

    /// The groups that have members, by name.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.table().groups.keys().cloned().collect()
    }
}

impl Table {
    /// Takes a name out of its groups; gives them, one for each membership.
    pub(super) fn leave_all(&mut self, name: &str, groups: &BTreeSet<Name>) -> Vec<Name> {
        let mut left = Vec::new();
        for group in groups {
            let Some(members) = self.groups.get_mut(group) else { continue };
            let before = members.len();
            members.retain(|member| &**member != name);
            left.extend(std::iter::repeat_n(Arc::clone(group), before - members.len()));
            if members.is_empty() {
                self.groups.remove(group);
            }
        }
        left
    }
}
