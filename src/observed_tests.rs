use super::*;

#[test]
fn a_log_tells_phase_donor_and_errors() {
    let mut log = LogView::default();
    for line in [
        "GALERACTL at=1.5 member=node1 event=phase phase=starting",
        "2026-11-22 19:00:00 0 [Note] WSREP: Member 1.0 (c-galera-node1) requested state transfer from '*any*'. \
         Selected 0.0 (c-galera-seed)(SYNCED) as donor.",
        "GALERACTL at=2.5 member=node1 event=transfer bytes=3145728",
        "2026-11-22 19:00:01 0 [ERROR] WSREP: something",
    ] {
        log.read(line);
    }
    assert_eq!(log.donor.as_deref(), Some("c-galera-seed"));
    assert_eq!((log.errors.len(), log.lines), (1, 4));
    let running = PodView { exists: true, running: true, ..PodView::default() };
    let view = MemberView { pod: running, log, ..MemberView::default() };
    assert_eq!(view.phrase(), "receives a state transfer from c-galera-seed, its volume has 3 MiB");
}

#[test]
fn a_log_tells_who_holds_a_server_and_what_became_of_its_data() {
    let mut log = LogView::default();
    log.read("GALERACTL at=1 member=node3 event=phase phase=held");
    log.read("GALERACTL at=1 member=node3 event=hold by=me@host since=1795888424");
    let held = Held { by: Some("me@host".to_owned()), since: Some(1_795_888_424) };
    assert_eq!(log.held, Some(held));
    log.read("GALERACTL at=1 member=node3 event=rebuild done=no reason=\"the order is for another pod\"");
    assert_eq!((log.rebuilds, &log.rebuilt), (1, &Some(Err("the order is for another pod".to_owned()))));
    log.read("GALERACTL at=2 member=node3 event=rebuild done=yes aside=aside.7");
    log.read("GALERACTL at=2 member=node3 event=phase phase=waiting");
    assert_eq!((log.rebuilds, log.rebuilt, log.held), (2, Some(Ok("aside.7".to_owned())), None));
    assert_eq!(Held::default().to_string(), "is held: container up, server down");
}
