//! Questions to what stands around the group: proxy, volumes, leftovers.

use super::{Case, Check, NoLogin, Question};
use crate::gates::group::list;
use crate::names::Member;
use crate::names::{COMPONENT_LABEL, INSTANCE_LABEL, Role};

const PROXY: &str = "proxy";
const VOLUMES: &str = "volumes";
const LEFTOVERS: &str = "leftovers";

pub(super) fn checks(case: &Case<'_>) -> Vec<Check> {
    vec![
        available(case),
        backends(case),
        through_proxy(case),
        accounts(case),
        exposure(case),
        volumes(case),
        formation(case),
        restored(case),
    ]
}

fn available(case: &Case<'_>) -> Check {
    let proxy = &case.observed.proxy;
    let wrong = if !proxy.exists {
        vec!["there is no proxy".to_owned()]
    } else if proxy.available < proxy.wanted {
        let why = proxy.trouble.as_ref().map(|trouble| format!(": {}", trouble.message)).unwrap_or_default();
        vec![format!("{} of {} pods available{why}", proxy.available, proxy.wanted)]
    } else {
        Vec::new()
    };
    let hint = format!("kubectl describe deployment -n {} {}", case.desired.namespace, case.desired.cluster.proxy());
    Question::new(PROXY, "proxy-available", "the proxy's pods are available", hint)
        .must(&wrong, format!("{} of {}", proxy.available, proxy.wanted))
}

/// What a proxy believes must be what the nodes say: a node that is up to date is up, any other is down, and the
/// address it would connect to is the address of that node's pod.
fn backends(case: &Case<'_>) -> Check {
    let mut wrong = Vec::new();
    for (pod, answer) in case.proxies {
        let list = match answer {
            Ok(list) => list,
            Err(error) => {
                wrong.push(format!("{pod} does not tell its backends: {error}"));
                continue;
            }
        };
        for node in case.desired.members() {
            let Some(backend) = list.iter().find(|backend| backend.member == node) else {
                wrong.push(format!("{pod} does not know {node}"));
                continue;
            };
            let view = case.observed.members.get(&node);
            let serves =
                view.and_then(|view| view.status()).is_some_and(|s| s.is_synced() || (s.is_primary() && s.is_donor()));
            if backend.up != serves {
                let state = if backend.up { "up" } else { "down" };
                let phrase = view.map_or("no pod".to_owned(), crate::observed::MemberView::phrase);
                wrong.push(format!("{pod} takes {node} for {state} ({}), but it is: {phrase}", backend.check));
            }
            let address = view.and_then(|view| view.pod.address.as_deref());
            if backend.up && address.is_some_and(|address| !backend.address.starts_with(&format!("{address}:"))) {
                wrong.push(format!(
                    "{pod} would connect to {} for {node}, its pod is at {}",
                    backend.address,
                    address.unwrap_or("-")
                ));
            }
        }
        wrong.extend(
            list.iter()
                .filter(|backend| case.desired.members().all(|node| node != backend.member))
                .map(|backend| format!("{pod} knows {}, which is no node of this cluster", backend.member)),
        );
    }
    let hint = format!(
        "the proxy follows a node within two seconds; if it stays like this: kubectl logs -n {} -l {INSTANCE_LABEL}={},{COMPONENT_LABEL}={}",
        case.desired.namespace,
        case.desired.cluster,
        Role::Proxy.label()
    );
    let question = Question::new(PROXY, "proxy-backends", "the proxy sees every node as it is", hint);
    if case.proxies.is_empty() {
        return question.skipped("no proxy pod runs");
    }
    question.must(&wrong, format!("{} proxies agree with the nodes", case.proxies.len()))
}

fn through_proxy(case: &Case<'_>) -> Check {
    let wrong: Vec<String> = match &case.proof.through_proxy {
        Some(Ok(_)) => Vec::new(),
        Some(Err(error)) => vec![error.clone()],
        None => vec!["no proxy pod runs".to_owned()],
    };
    let took = case.proof.through_proxy.as_ref().and_then(|result| result.as_ref().ok()).copied().unwrap_or_default();
    Question::new(
        PROXY,
        "proxy-writes",
        "a write through the proxy is acknowledged",
        "see proxy and nodes: galeractl status",
    )
    .must(&wrong, format!("in {} ms", took.as_millis()))
}

/// People may change a password in the database alone, and their cluster works.
fn accounts(case: &Case<'_>) -> Check {
    let secret = case.desired.cluster.credentials();
    let hint = format!(
        "put the passwords that the database has into it: kubectl edit secret -n {} {secret}; or give the database these",
        case.desired.namespace
    );
    let question = Question::new(PROXY, "accounts", "the accounts in the Secret can log in", hint);
    let denied = case.accounts.iter().filter_map(|(user, login)| match login {
        Err(NoLogin::Denied(why)) => Some(format!("{user}: {why}")),
        _ => None,
    });
    let denied: Vec<String> = denied.collect();
    let could = case.accounts.iter().filter(|(_, login)| login.is_ok()).map(|(user, _)| user.as_str());
    let could = could.collect::<Vec<_>>().join(", ");
    if denied.is_empty() && could.is_empty() {
        return question.skipped("no server could be asked");
    }
    question.should(&denied, could)
}

fn exposure(case: &Case<'_>) -> Check {
    let expired = case.exposures.iter().filter(|way| way.expired(case.now));
    let wrong: Vec<String> = expired.map(|way| way.describe(case.now)).collect();
    let open: Vec<String> = case.exposures.iter().map(|way| way.describe(case.now)).collect();
    let fine = if open.is_empty() { "not open".to_owned() } else { open.join("; ") };
    Question::new(
        PROXY,
        "exposure",
        "access from outside is not open longer than meant",
        "close it: galeractl unexpose --expired",
    )
    .must(&wrong, fine)
}

fn volumes(case: &Case<'_>) -> Check {
    let (mut losing, mut others, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    let mut hint = None;
    for node in case.desired.members() {
        let emptied =
            case.observed.members.get(&node).is_some_and(|view| view.left.iter().any(|left| left == "emptied"));
        if emptied {
            losing.push(format!(
                "the data directory of {node} has been emptied under its server: its data ends with its pod"
            ));
        }
        let name = case.desired.cluster.claim(node);
        let runs = case.observed.members.get(&node).is_some_and(|view| view.pod.exists);
        let end = if runs { format!(": the data of {node} ends with its pod") } else { String::new() };
        match case.observed.claims.get(&name) {
            None => losing.push(format!("{name} does not exist{end}")),
            Some(claim) if claim.leaving => losing.push(format!("{name} is being deleted{end}")),
            Some(claim) if claim.phase == "Lost" => losing.push(format!("{name} has lost its volume")),
            Some(claim) if claim.phase != "Bound" => {
                let trouble = claim.trouble.as_ref();
                let why = trouble.map_or("its volume is not made yet", |trouble| &trouble.message);
                waiting.push(format!("{name} is {}: {why}", claim.phase));
                let look =
                    || format!("see what it waits for: kubectl describe pvc -n {} {name}", case.desired.namespace);
                hint = hint.or_else(|| Some(trouble.map_or_else(look, |trouble| trouble.hint.clone())));
            }
            Some(claim) => {
                if let (Some(recorded), Some(uuid)) = (claim.recorded, case.record.uuid)
                    && recorded != uuid
                {
                    others.push(format!("{name} was recorded for cluster {recorded}"));
                }
            }
        }
    }
    let hint = if !losing.is_empty() {
        "do not restart a pod whose claim is missing or being deleted, or whose files are gone; save the data first"
            .to_owned()
    } else if !others.is_empty() {
        "do not restart its pod before you know whose data the volume holds".to_owned()
    } else {
        hint.unwrap_or_default()
    };
    Question::new(VOLUMES, "volumes", "every node's volume is bound and stays", hint)
        .must(&[losing, others, waiting].concat(), format!("{} bound", case.desired.nodes))
}

fn formation(case: &Case<'_>) -> Check {
    let hint = "finish what was begun, and remove what is left: galeractl up";
    Question::new(LEFTOVERS, "no-leftovers", "nothing is left of a formation", hint).must(case.leftovers, "nothing")
}

/// A restore keeps what was there before until somebody decides, so what it keeps is worth a word and no failure.
fn restored(case: &Case<'_>) -> Check {
    let with = |what: &str| -> Vec<Member> {
        let has = |node: &Member| {
            case.observed.members.get(node).is_some_and(|view| view.left.iter().any(|left| left == what))
        };
        case.desired.members().filter(has).collect()
    };
    let (prepared, kept, aside) = (with("prepared"), with("kept"), with("aside"));
    let mut left = Vec::new();
    let mut hint = "finish what was begun, and remove what is left: galeractl up".to_owned();
    if let Some(first) = aside.first() {
        left.push(format!("what had to make room for a copy, beside the data of {}", list(&aside)));
        hint = format!(
            "when nobody needs it any more, remove it: kubectl exec -n {} {} -c mariadb -- sh -c 'rm -rf /var/lib/mysql/aside.*'",
            case.desired.namespace,
            case.desired.cluster.pod(*first)
        );
    }
    if !prepared.is_empty() {
        left.push(format!("what a restore has prepared, beside the data of {}", list(&prepared)));
    }
    if !kept.is_empty() {
        left.push(format!("what was there before a restore, beside the data of {}", list(&kept)));
        "stop the cluster, and then remove the old data: galeractl restore --continue, or bring it back: galeractl restore \
                --undo".clone_into(&mut hint);
    }
    Question::new(LEFTOVERS, "restore-leftovers", "nothing is left of a restore or a rebuild", hint)
        .should(&left, "nothing")
}
