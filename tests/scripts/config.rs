//! What the start script writes for the server.

use super::stage::Stage;

#[test]
fn addresses_with_colons_stand_in_brackets() {
    for (ip, address, listen) in
        [("10.0.0.1", "10.0.0.1", "tcp://0.0.0.0:4567"), ("2001:db8::7", "[2001:db8::7]", "tcp://[::]:4567")]
    {
        let stage = Stage::new();
        let options = "[mysqld]\nwsrep_provider_options=\"pc.recovery=true;gmcast.listen_addr=tcp://0.0.0.0:4567\"\n";
        stage.write("scripts/server.cnf", options);
        let done = stage.run(&["-c", r#". "$SCRIPTS/start.sh"; DOMAIN=test; write_config"#], &[("POD_IP", ip)]);
        assert_eq!(done.code, Some(0), "{done}");
        let written = stage.read("run/my.cnf");
        assert!(written.contains(&format!("wsrep_node_address={address}\n")), "{written}");
        assert!(written.contains(&format!("pc.recovery=true;gmcast.listen_addr={listen}\"")), "{written}");
    }
}
