//! What a verdict makes of a plugin, and which versions a plugin wants its connectors to run. Pure.

use pombo_domain::Timestamp;
use pombo_domain::model::plugin::AuditAction;
use pombo_domain::model::rollout::Verdict;
use pombo_domain::model::{Plugin, RolloutStep, VersionStatus};

/// A plugin after a verdict, and what is to be reported about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Its next revision.
    pub plugin: Plugin,
    /// What was done.
    pub action: AuditAction,
    /// The version that it is about.
    pub digest: String,
    /// A sentence for a person.
    pub detail: String,
}

/// What follows from a verdict; `None` where nothing follows yet, or there is no rollout.
pub fn decided(plugin: &Plugin, verdict: Verdict, now: Timestamp) -> Option<Decided> {
    let mut next = Plugin { revision: plugin.revision + 1, updated_at: now, ..plugin.clone() };
    let rollout = next.rollout.as_mut()?;
    let to = rollout.to.clone();
    let shown = |digest: &str| plugin.version(digest).map_or_else(|| digest.to_owned(), |v| v.version.clone());
    let (action, detail) = match (verdict, rollout.step) {
        (Verdict::Wait, _) => return None,
        (Verdict::Advance, RolloutStep::Canary) => {
            (rollout.step, rollout.share, rollout.since) = (RolloutStep::Watching, 100, now);
            next.previous = next.active.replace(to.clone());
            (AuditAction::Promoted, format!("{} did its share of the work well and takes over", shown(&to)))
        }
        (Verdict::Advance, RolloutStep::Watching) => {
            next.rollout = None;
            (AuditAction::Settled, format!("{} has taken over and did well", shown(&to)))
        }
        (Verdict::RollBack(why), _) => {
            let from = rollout.from.clone();
            next.rollout = None;
            match from {
                Some(from) => {
                    let detail = format!("from {} to {}: {why}", shown(&to), shown(&from));
                    next.active = Some(from);
                    next.previous = None;
                    for version in next.versions.iter_mut().filter(|version| version.digest == to) {
                        version.status = VersionStatus::RolledBack(why.clone());
                    }
                    (AuditAction::RolledBack, detail)
                }
                // Better a bad version than none.
                None => (AuditAction::Kept, format!("{} stays, as there is none to go back to: {why}", shown(&to))),
            }
        }
    };
    Some(Decided { plugin: next, action, digest: to, detail })
}

/// Which versions of a plugin its connectors run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutState {
    /// This one has a share of the work, in percent; the version before it has the rest.
    Shared(String, u8),
    /// This one has all the work; the version before it is kept, to go back to.
    Watched(String),
    /// This one alone.
    Alone(String),
}

/// The state that a plugin asks for; `None` where no version is to run.
pub fn wanted_state(plugin: &Plugin) -> Option<RolloutState> {
    match &plugin.rollout {
        Some(rollout) if rollout.step == RolloutStep::Canary => {
            Some(RolloutState::Shared(rollout.to.clone(), rollout.share))
        }
        Some(rollout) => Some(RolloutState::Watched(rollout.to.clone())),
        None => plugin.active.clone().map(RolloutState::Alone),
    }
}

/// One thing to ask of the connectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// See [`pombo_domain::ports::Connectors::stage`].
    Stage(String, u8),
    /// See [`pombo_domain::ports::Connectors::unstage`].
    Unstage,
    /// See [`pombo_domain::ports::Connectors::settle`].
    Settle,
}

/// How to get from one state to another. `before` is what was last asked of the connectors in this process, `running` the digest
/// that they say they run.
pub fn moves(before: Option<&RolloutState>, wanted: &RolloutState, running: Option<&str>) -> Vec<Move> {
    let staged = match before {
        Some(RolloutState::Shared(digest, _) | RolloutState::Watched(digest)) => Some(digest),
        Some(RolloutState::Alone(_)) | None => None,
    };
    let mut moves = Vec::new();
    let (RolloutState::Shared(digest, _) | RolloutState::Watched(digest) | RolloutState::Alone(digest)) = wanted;
    // Another version is staged: it is taken back, or, where one more is to follow it, it stays for good.
    let other_is_staged = staged.is_some_and(|staged| staged != digest);
    if other_is_staged {
        let follows = matches!(
            (before, wanted),
            (Some(RolloutState::Watched(_)), RolloutState::Shared(..) | RolloutState::Watched(_))
        );
        moves.push(if follows { Move::Settle } else { Move::Unstage });
    }
    match wanted {
        _ if before == Some(wanted) => return Vec::new(),
        RolloutState::Shared(digest, share) => moves.push(Move::Stage(digest.clone(), *share)),
        RolloutState::Watched(digest) => moves.push(Move::Stage(digest.clone(), 100)),
        RolloutState::Alone(digest) if staged == Some(digest) => {
            if before.is_some_and(|before| matches!(before, RolloutState::Shared(..))) {
                moves.push(Move::Stage(digest.clone(), 100));
            }
            moves.push(Move::Settle);
        }
        // Taking the other one back leaves the one before it, which is the wanted one.
        RolloutState::Alone(_) if other_is_staged => {}
        RolloutState::Alone(digest) if running == Some(digest) => {}
        RolloutState::Alone(digest) => moves.extend([Move::Stage(digest.clone(), 100), Move::Settle]),
    }
    moves
}

#[cfg(test)]
mod tests {
    use pombo_domain::model::{PluginKind, PluginVersion, Rollout, Wants};

    use super::*;

    fn uploaded_plugin(active: &str, rollout: Option<(Option<&str>, &str, RolloutStep)>) -> Plugin {
        let version = |digest: &str| PluginVersion {
            digest: digest.to_owned(),
            version: format!("1.{digest}"),
            display_name: String::new(),
            size: 1,
            status: VersionStatus::Ready,
            wants: Wants::default(),
            description: String::new(),
            signed_by: None,
            uploaded_by: String::new(),
            uploaded_at: Timestamp(0),
        };
        Plugin {
            name: "p".to_owned(),
            owner: None,
            kind: PluginKind::Automation,
            versions: vec![version("a"), version("b")],
            active: Some(active.to_owned()),
            previous: None,
            grants: None,
            rollout: rollout.map(|(from, to, step)| Rollout {
                from: from.map(str::to_owned),
                to: to.to_owned(),
                share: 10,
                step,
                automatic: true,
                since: Timestamp(1),
                by: "user:1".to_owned(),
            }),
            revision: 7,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn a_good_version_takes_over_and_is_watched_until_it_is_settled() {
        let now = Timestamp(50);
        let canary = uploaded_plugin("a", Some((Some("a"), "b", RolloutStep::Canary)));
        assert_eq!(decided(&canary, Verdict::Wait, now), None);
        let promoted = decided(&canary, Verdict::Advance, now).expect("it goes on");
        let Plugin { active, previous, rollout, revision, .. } = promoted.plugin.clone();
        assert_eq!(
            (promoted.action, active.as_deref(), previous.as_deref()),
            (AuditAction::Promoted, Some("b"), Some("a"))
        );
        let rollout = rollout.expect("it is watched");
        assert_eq!((rollout.step, rollout.share, rollout.since, revision), (RolloutStep::Watching, 100, now, 8));
        let settled = decided(&promoted.plugin, Verdict::Advance, now).expect("it goes on");
        assert_eq!((settled.action, &settled.plugin.rollout), (AuditAction::Settled, &None));
        assert_eq!(settled.plugin.previous.as_deref(), Some("a"), "by hand one can still go back");
        assert_eq!(decided(&settled.plugin, Verdict::Advance, now), None);
    }

    #[test]
    fn a_bad_version_is_taken_back_from_either_step() {
        let why = || Verdict::RollBack("it trapped".to_owned());
        for (active, step) in [("a", RolloutStep::Canary), ("b", RolloutStep::Watching)] {
            let back =
                decided(&uploaded_plugin(active, Some((Some("a"), "b", step))), why(), Timestamp(5)).expect("decided");
            assert_eq!((back.action, back.digest.as_str()), (AuditAction::RolledBack, "b"));
            assert_eq!(back.detail, "from 1.b to 1.a: it trapped");
            assert_eq!((back.plugin.active.as_deref(), &back.plugin.rollout), (Some("a"), &None));
            assert_eq!(back.plugin.versions[1].status, VersionStatus::RolledBack("it trapped".to_owned()));
            assert_eq!(back.plugin.versions[0].status, VersionStatus::Ready);
        }
        let only = uploaded_plugin("b", Some((None, "b", RolloutStep::Watching)));
        let kept = decided(&only, why(), Timestamp(5)).expect("decided");
        assert_eq!(
            (kept.action, kept.plugin.active.as_deref(), kept.plugin.rollout),
            (AuditAction::Kept, Some("b"), None)
        );
    }

    #[test]
    fn the_connectors_are_asked_for_what_is_missing() {
        let shared = |digest: &str, share| RolloutState::Shared(digest.to_owned(), share);
        let watched = |digest: &str| RolloutState::Watched(digest.to_owned());
        let alone = |digest: &str| RolloutState::Alone(digest.to_owned());
        let stage = |digest: &str, share| Move::Stage(digest.to_owned(), share);
        for (before, wanted, running, expected) in [
            (None, alone("a"), Some("a"), vec![]),
            (None, alone("a"), None, vec![stage("a", 100), Move::Settle]),
            (None, alone("a"), Some("b"), vec![stage("a", 100), Move::Settle]),
            (Some(alone("a")), shared("b", 10), Some("a"), vec![stage("b", 10)]),
            (Some(shared("b", 10)), shared("b", 10), Some("a"), vec![]),
            (Some(shared("b", 10)), shared("b", 50), Some("a"), vec![stage("b", 50)]),
            (Some(shared("b", 10)), watched("b"), Some("a"), vec![stage("b", 100)]),
            (Some(shared("b", 10)), alone("a"), Some("a"), vec![Move::Unstage]),
            (Some(shared("b", 10)), alone("b"), Some("a"), vec![stage("b", 100), Move::Settle]),
            (Some(watched("b")), alone("b"), Some("b"), vec![Move::Settle]),
            (Some(watched("b")), alone("a"), Some("b"), vec![Move::Unstage]),
            (Some(watched("b")), watched("c"), Some("b"), vec![Move::Settle, stage("c", 100)]),
            (Some(shared("b", 10)), watched("c"), Some("a"), vec![Move::Unstage, stage("c", 100)]),
            // After a restart.
            (None, shared("b", 10), Some("a"), vec![stage("b", 10)]),
            (None, watched("b"), Some("b"), vec![stage("b", 100)]),
        ] {
            assert_eq!(moves(before.as_ref(), &wanted, running), expected, "{before:?} to {wanted:?}");
        }
    }
}
