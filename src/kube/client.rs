//! From kubectl's options to a client.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::error::{Failure, Kind, Result};

use super::errors::explain;
use super::proxy::proxy;

/// How long a request may take when the user does not say.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the first packet may take when the user does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which cluster, as whom: kubectl's global options of the same names.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--kubeconfig`: the only file to read; `None` follows `$KUBECONFIG`, then `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`: an entry of the kubeconfig other than the current one.
    pub context: Option<String>,
    /// `--cluster`: overrides the context's cluster.
    pub cluster: Option<String>,
    /// `--user`: overrides the context's user.
    pub user: Option<String>,
    /// `--namespace`: overrides the context's namespace.
    pub namespace: Option<String>,
    /// `--as`: the user to impersonate.
    pub impersonate: Option<String>,
    /// `--as-group`: the groups to impersonate.
    pub impersonate_groups: Vec<String>,
    /// `--request-timeout`: how long a single request may take, 30 s if `None`; watches and streams are not limited.
    pub request_timeout: Option<Duration>,
}

/// A client for connections that live long: watches, logs, exec, port forwards. It has no read timeout.
#[derive(Clone)]
pub struct Streams(pub(crate) Client);

/// A way to one API server as one user. Making it does not send anything yet.
#[derive(Clone)]
pub struct Connection {
    /// For requests with one answer; each has a deadline.
    pub client: Client,
    /// For connections that live long.
    pub streams: Streams,
    /// Name of the kubeconfig context; `None` inside a cluster.
    pub context: Option<String>,
    /// Where objects go when nobody names a namespace.
    pub default_namespace: String,
    /// URL of the API server.
    pub server: String,
}

impl Connection {
    /// Reads the kubeconfig, or the pod's service account if there is none.
    ///
    /// # Errors
    /// [`Kind::Usage`] if the kubeconfig cannot be found, read or understood, or names something it does not contain.
    pub async fn open(options: &Options) -> Result<Self> {
        let (mut config, context, named) = match read(options)? {
            Some((kubeconfig, origin)) => {
                let context = chosen_context(&kubeconfig, options, &origin)?;
                let named = named_proxy(&kubeconfig, options, &context);
                (select(kubeconfig, options, &origin).await?, Some(context), named)
            }
            None => (in_cluster()?, None, None),
        };
        config.proxy_url = proxy(&config.cluster_url, named.as_deref(), |name| std::env::var(name).ok())?;
        adjust(&mut config, options)?;
        let program = config.auth_info.exec.as_ref().and_then(|exec| exec.command.as_deref());
        let logging_in = program
            .map_or_else(|| "use the kubeconfig's credentials".to_owned(), |program| format!("log in by `{program}`"));
        let make =
            |config: Config| Client::try_from(config).map_err(|error| explain(Kind::Usage, logging_in.as_str(), error));
        let mut unary = config.clone();
        unary.read_timeout = Some(options.request_timeout.unwrap_or(REQUEST_TIMEOUT));
        // Otherwise the time that a pooled connection lay idle would count.
        unary.reset_reader_on_write = true;
        Ok(Self {
            client: make(unary)?,
            context,
            default_namespace: config.default_namespace.clone(),
            server: config.cluster_url.to_string(),
            streams: Streams(make(config)?),
        })
    }

    /// Asks the API server for its version, such as `v1.34.4`: the cheapest proof that it can be reached.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] with the server's address and what to do.
    pub async fn version(&self) -> Result<String> {
        let doing = match &self.context {
            Some(context) => format!("use {} (context `{context}`)", self.server),
            None => format!("use {} (from inside the cluster)", self.server),
        };
        let info = self.client.apiserver_version().await.map_err(|error| explain(Kind::Unreachable, doing, error))?;
        Ok(info.git_version)
    }
}

/// Names of the kubeconfig's contexts.
///
/// # Errors
/// The kubeconfig cannot be read.
pub fn contexts(options: &Options) -> Result<Vec<String>> {
    let found = read(options)?.map(|(kubeconfig, _)| kubeconfig.contexts).unwrap_or_default();
    Ok(found.into_iter().map(|context| context.name).collect())
}

/// The kubeconfig and the name of where it came from; `None` if no file was named and none is in its usual place.
fn read(options: &Options) -> Result<Option<(Kubeconfig, String)>> {
    let unreadable = |error: KubeconfigError, origin: &str| {
        Failure::new(Kind::Usage, error)
            .context(format!("cannot use the kubeconfig {origin}"))
            .hint("name another file with --kubeconfig or KUBECONFIG")
    };
    if let Some(path) = &options.kubeconfig {
        let origin = format!("`{}` (--kubeconfig)", path.display());
        let found = Kubeconfig::read_from(path).map_err(|error| unreadable(error, &origin))?;
        return Ok(Some((found, origin)));
    }
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    if let Some(found) = merged(&listed).map_err(|error| unreadable(error, &named(&listed)))? {
        return Ok(Some((found, named(&listed))));
    }
    let Some(path) = default_path().filter(|path| path.exists()) else { return Ok(None) };
    let origin = format!("`{}`", path.display());
    let found = Kubeconfig::read_from(&path).map_err(|error| unreadable(error, &origin))?;
    Ok(Some((found, origin)))
}

fn named(listed: &OsStr) -> String {
    format!("`{}` (KUBECONFIG)", listed.display())
}

/// The files of a list like `$KUBECONFIG`, as one. One that does not exist is passed over where another one does, as by
/// kubectl; the list is a search path, and often names files that are still to be written.
fn merged(listed: &OsStr) -> Result<Option<Kubeconfig>, KubeconfigError> {
    let paths: Vec<PathBuf> = std::env::split_paths(listed).filter(|path| !path.as_os_str().is_empty()).collect();
    let there: Vec<&PathBuf> = paths.iter().filter(|path| path.exists()).collect();
    let read = if there.is_empty() { paths.iter().collect() } else { there };
    read.into_iter().map(Kubeconfig::read_from).try_fold(None, |merged: Option<Kubeconfig>, next| {
        let next = next?;
        merged.map_or_else(|| Ok(next.clone()), |merged| merged.merge(next.clone())).map(Some)
    })
}

fn default_path() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".kube").join("config"))
}

fn in_cluster() -> Result<Config> {
    Config::incluster().map_err(|error| {
        let usual = default_path().map_or_else(|| "~/.kube/config".to_owned(), |path| path.display().to_string());
        Failure::new(Kind::Usage, error)
            .context(format!("no kubeconfig: KUBECONFIG is not set and `{usual}` does not exist"))
            .hint("name one with --kubeconfig PATH or KUBECONFIG=PATH")
    })
}

fn chosen_context(kubeconfig: &Kubeconfig, options: &Options, origin: &str) -> Result<String> {
    let contexts: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    let clusters: Vec<&str> = kubeconfig.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    let users: Vec<&str> = kubeconfig.auth_infos.iter().map(|user| user.name.as_str()).collect();
    known("cluster", options.cluster.as_deref(), &clusters, origin)?;
    known("user", options.user.as_deref(), &users, origin)?;
    let current = kubeconfig.current_context.as_deref().filter(|name| !name.is_empty());
    let Some(context) = options.context.as_deref().or(current) else {
        return Err(Failure::message(Kind::Usage, format!("the kubeconfig {origin} has no current context"))
            .hint(list("choose one with --context", &contexts)));
    };
    known("context", Some(context), &contexts, origin)?;
    Ok(context.to_owned())
}

/// The proxy that the kubeconfig has for the chosen cluster.
fn named_proxy(kubeconfig: &Kubeconfig, options: &Options, context: &str) -> Option<String> {
    let of_context = || {
        let context = kubeconfig.contexts.iter().find(|known| known.name == context)?;
        Some(context.context.as_ref()?.cluster.clone())
    };
    let name = options.cluster.clone().or_else(of_context)?;
    kubeconfig.clusters.iter().find(|cluster| cluster.name == name)?.cluster.as_ref()?.proxy_url.clone()
}

fn known(what: &str, name: Option<&str>, names: &[&str], origin: &str) -> Result<()> {
    let Some(name) = name.filter(|name| !names.contains(name)) else { return Ok(()) };
    let failure = Failure::message(Kind::Usage, format!("the kubeconfig {origin} has no {what} `{name}`"));
    Err(failure.hint(list(&format!("it has these {what}s"), names)))
}

fn list(intro: &str, names: &[&str]) -> String {
    match names {
        [] => format!("{intro}: (none)"),
        names => format!("{intro}: {}", names.join(", ")),
    }
}

async fn select(kubeconfig: Kubeconfig, options: &Options, origin: &str) -> Result<Config> {
    let choice = KubeConfigOptions {
        context: options.context.clone(),
        cluster: options.cluster.clone(),
        user: options.user.clone(),
    };
    Config::from_custom_kubeconfig(kubeconfig, &choice).await.map_err(|error| {
        Failure::new(Kind::Usage, error)
            .context(format!("cannot use the kubeconfig {origin}"))
            .hint("`kubectl config view` shows what it contains")
    })
}

fn adjust(config: &mut Config, options: &Options) -> Result<()> {
    config.connect_timeout = Some(options.request_timeout.unwrap_or(CONNECT_TIMEOUT));
    if let Some(namespace) = &options.namespace {
        config.default_namespace.clone_from(namespace);
    }
    if let Some(user) = &options.impersonate {
        config.auth_info.impersonate = Some(user.clone());
    }
    if !options.impersonate_groups.is_empty() {
        if config.auth_info.impersonate.is_none() {
            return Err(Failure::message(Kind::Usage, "--as-group needs --as: groups are impersonated with a user"));
        }
        config.auth_info.impersonate_groups = Some(options.impersonate_groups.clone());
    }
    let agent = concat!("galeractl/", env!("CARGO_PKG_VERSION"));
    match ("user-agent".parse(), agent.parse()) {
        (Ok(header), Ok(value)) => config.headers.push((header, value)),
        _ => return Err(Failure::message(Kind::Bug, "the user agent is not a valid header")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
apiVersion: v1
kind: Config
current-context: dev
clusters: [{name: c1, cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}}]
users: [{name: u1, user: {token: t}}]
contexts:
- {name: dev, context: {cluster: c1, user: u1, namespace: data}}
- {name: prod, context: {cluster: c1, user: u1}}
";

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    async fn open(options: Options) -> Result<Connection> {
        let (_folder, path) = file(FILE);
        Connection::open(&Options { kubeconfig: Some(path), ..options }).await
    }

    #[tokio::test]
    async fn the_current_context_is_used() {
        let connection = open(Options::default()).await.unwrap();
        assert_eq!(connection.context.as_deref(), Some("dev"));
        assert_eq!(connection.default_namespace, "data");
        assert_eq!(connection.server, "https://127.0.0.1:1/");
    }

    #[tokio::test]
    async fn options_override_the_file() {
        let options = Options { context: Some("prod".into()), namespace: Some("n".into()), ..Options::default() };
        let connection = open(options).await.unwrap();
        assert_eq!((connection.context.as_deref(), connection.default_namespace.as_str()), (Some("prod"), "n"));
    }

    #[tokio::test]
    async fn unknown_names_are_answered_with_the_known_ones() {
        let failure = open(Options { context: Some("prd".into()), ..Options::default() }).await.err().unwrap();
        assert_eq!(failure.kind, Kind::Usage);
        assert!(failure.to_string().ends_with("has no context `prd`"), "{failure}");
        assert_eq!(failure.hints, ["it has these contexts: dev, prod"]);
        let failure = open(Options { user: Some("root".into()), ..Options::default() }).await.err().unwrap();
        assert_eq!(failure.hints, ["it has these users: u1"]);
        let failure = open(Options { impersonate_groups: vec!["g".into()], ..Options::default() }).await.err().unwrap();
        assert_eq!(failure.kind, Kind::Usage);
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let options = Options { kubeconfig: Some("/nowhere/config".into()), ..Options::default() };
        let failure = Connection::open(&options).await.err().unwrap();
        assert_eq!(failure.kind, Kind::Usage);
        assert!(
            failure.to_string().starts_with("cannot use the kubeconfig `/nowhere/config` (--kubeconfig)"),
            "{failure}"
        );
    }

    #[tokio::test]
    async fn the_proxy_of_the_kubeconfig_is_the_way_to_the_server() {
        let version = serde_json::json!({"major": "1", "minor": "34", "gitVersion": "v1.34.4", "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": ""});
        let server = crate::kube::fake::server(move |_| (200, version.clone())).await;
        let (proxy, asked) = crate::kube::fake::proxy().await;
        let cluster = format!("server: '{server}', proxy-url: '{proxy}'");
        let (_folder, path) =
            file(&FILE.replace("server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true", &cluster));
        let connection = Connection::open(&Options { kubeconfig: Some(path), ..Options::default() }).await.unwrap();
        assert_eq!(connection.version().await.unwrap(), "v1.34.4");
        let host = server.strip_prefix("http://").unwrap().to_owned();
        assert_eq!(*asked.lock().unwrap(), [host]);
    }

    #[test]
    fn of_several_files_those_that_are_there_count() {
        let (_folder, real) = file(FILE);
        let list = |paths: &[&std::path::Path]| merged(&std::env::join_paths(paths).unwrap());
        let missing = std::path::Path::new("/nowhere/config");
        assert_eq!(list(&[missing, &real]).unwrap().unwrap().contexts.len(), 2);
        assert_eq!(list(&[&real, missing]).unwrap().unwrap().contexts.len(), 2);
        assert_eq!(list(&[&real, &real]).unwrap().unwrap().contexts.len(), 2);
        assert!(list(&[missing, missing]).is_err());
        assert!(merged(OsStr::new("")).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_closed_port_names_server_and_context() {
        let failure = open(Options::default()).await.unwrap().version().await.unwrap_err();
        assert_eq!(failure.kind, Kind::Unreachable);
        let text = failure.to_string();
        assert!(
            text.starts_with("cannot use https://127.0.0.1:1/ (context `dev`): cannot reach the API server: nothing"),
            "{text}"
        );
    }
}
