//! The answers' text, as version 2.6 writes it.

use std::fmt::Write;
use std::time::Duration;

use super::Haproxy;
use super::layout::{Backend, Mode, Proxy};
use super::server::{FALL, INITIAL_WEIGHT, RISE, Server};
use crate::haproxy::answer::Level;
use crate::haproxy::state::AdminWord;

/// The version that the lab plays.
pub(super) const VERSION: &str = "2.6.12-1+deb12u4";

/// `show sess` of nobody but the one who asks.
pub(super) const SESSIONS: &str = "0x55d0c0ffee00: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 \
    epoch=0 age=0s calls=1 rate=1 cpu=0 lat=0 rq[f=c08002h,i=0,an=00h,rx=30s,wx=,ax=] \
    rp[f=80008000h,i=0,an=00h,rx=,wx=,ax=] scf=[8,0h,fd=18] scb=[8,1h,fd=-1] exp=30s rc=0 c_exp=\n\n";

/// `show info`, up to the process id.
const INFO_START: &str = "Name: HAProxy\n\
    Version: 2.6.12-1+deb12u4\n\
    Release_date: 2026/10/17\n\
    Nbthread: 2\n\
    Nbproc: 1\n\
    Process_num: 1\n";

/// `show info`, between the times and the node's name.
const INFO_MIDDLE: &str = "Memmax_MB: 0\n\
    PoolAlloc_MB: 0\n\
    PoolUsed_MB: 0\n\
    PoolFailed: 0\n\
    Ulimit-n: 4065\n\
    Maxsock: 4065\n\
    Maxconn: 2000\n\
    Hard_maxconn: 2000\n\
    CurrConns: 0\n\
    CumConns: 0\n\
    CumReq: 0\n\
    MaxSslConns: 0\n\
    CurrSslConns: 0\n\
    CumSslConns: 0\n\
    Maxpipes: 0\n\
    PipesUsed: 0\n\
    PipesFree: 0\n\
    ConnRate: 0\n\
    ConnRateLimit: 0\n\
    MaxConnRate: 0\n\
    SessRate: 0\n\
    SessRateLimit: 0\n\
    MaxSessRate: 0\n\
    SslRate: 0\n\
    SslRateLimit: 0\n\
    MaxSslRate: 0\n\
    SslFrontendKeyRate: 0\n\
    SslFrontendMaxKeyRate: 0\n\
    SslFrontendSessionReuse_pct: 0\n\
    SslBackendKeyRate: 0\n\
    SslBackendMaxKeyRate: 0\n\
    SslCacheLookups: 0\n\
    SslCacheMisses: 0\n\
    CompressBpsIn: 0\n\
    CompressBpsOut: 0\n\
    CompressBpsRateLim: 0\n\
    Tasks: 43\n\
    Run_queue: 0\n\
    Idle_pct: 100\n";

/// `show info`, between the node's name and the start.
const INFO_END: &str = "Stopping: 0\n\
    Jobs: 9\n\
    Unstoppable Jobs: 1\n\
    Listeners: 8\n\
    ActivePeers: 0\n\
    ConnectedPeers: 0\n\
    DroppedLogs: 0\n\
    BusyPolling: 0\n\
    FailedResolutions: 0\n\
    TotalBytesOut: 0\n\
    TotalSplicdedBytesOut: 0\n\
    BytesOutRate: 0\n\
    DebugCommandsIssued: 0\n\
    CumRecvLogs: 0\n\
    Build info: 2.6.12-1+deb12u4\n\
    Memmax_bytes: 0\n\
    PoolAlloc_bytes: 354288\n\
    PoolUsed_bytes: 354288\n";

/// The columns of `show servers state`.
const STATE_HEADER: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
    srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state \
    bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr \
    srv_agent_addr srv_agent_port\n";

/// The columns of `show stat`.
const COLUMNS: &str = "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,\
    weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,\
    rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5x\
    x,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp\
    _rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,check\
    _desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,m\
    ode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,cac\
    he_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,u\
    sed_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,agg_check_status,-,ssl_\
    sess,ssl_reused_sess,ssl_failed_handshake,h2_headers_rcvd,h2_data_rcvd,h2_settings_rcvd,h2_rst_strea\
    m_rcvd,h2_goaway_rcvd,h2_detected_conn_protocol_errors,h2_detected_strm_protocol_errors,h2_rst_strea\
    m_resp,h2_goaway_resp,h2_open_connections,h2_backend_open_streams,h2_total_connections,h2_backend_to\
    tal_streams,h1_open_connections,h1_open_streams,h1_total_connections,h1_total_streams,h1_bytes_in,h1\
    _bytes_out,h1_spliced_bytes_in,h1_spliced_bytes_out,";

/// A row as an idle proxy has it, by kind and mode.
const FRONTEND_HTTP: &str = "fe_http,FRONTEND,,,0,0,2000,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,11,0,,,,0,0,0,0,,,,0,0,0,0,0,0,,0,0,0,,,0\
    ,0,0,0,,,,,,,,,,,,,,,,,,,,,http,,0,0,0,0,0,0,0,,,0,0,,,,,,,0,,,,,,,,,-,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\
    ,0,0,0,0,0,0,0,0,0,";
/// See [`FRONTEND_HTTP`].
const FRONTEND_TCP: &str = "fe_ldap,FRONTEND,,,0,0,2000,0,0,0,0,0,0,,,,,OPEN,,,,,,,,,1,9,0,,,,0,0,0,0,,,,,,,,,,,0,0,0,,,0,0,0,0,\
    ,,,,,,,,,,,,,,,,,,,,tcp,,0,0,0,,0,0,0,,,,,,,,,,,0,,,,,,,,,-,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,\
    0,0,0,0,";
/// See [`FRONTEND_HTTP`].
const BACKEND_HTTP: &str = "http,BACKEND,0,0,0,0,200,0,0,0,0,0,,0,0,0,0,UP,2,2,0,,0,1,0,,1,12,0,,0,,1,0,,0,,,,0,0,0,0,0,0,,,,0,0\
    ,0,0,0,0,0,-1,,,0,0,0,0,,,,,,,,,,,,,SRV,http,roundrobin,,,,,,,0,0,0,0,0,,,0,0,0,0,0,,,,,2,0,0,0,-,0,\
    0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,8,8,736,184,0,0,";
/// See [`FRONTEND_HTTP`].
const BACKEND_TCP: &str = "ldap,BACKEND,0,0,0,0,200,0,0,0,0,0,,0,0,0,0,UP,2,2,0,,0,1,0,,1,10,0,,0,,1,0,,0,,,,,,,,,,,,,,0,0,0,0,\
    0,0,-1,,,0,0,0,0,,,,,,,,,,,,,,tcp,leastconn,,,,,,,0,0,0,,,,,0,0,0,0,0,,,,,2,0,0,0,-,0,0,0,0,0,0,0,0,\
    0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,";
/// See [`FRONTEND_HTTP`].
const SERVER_HTTP: &str = "http,http-svc1,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,1,1,0,0,0,1,0,,1,12,1,,0,,2,0,,0,L7OK,200,0,0,0,0,0,0,0\
    ,,,,0,0,0,,,,,-1,,,0,0,0,0,,,,Layer7 check passed,,2,2,3,,,,127.77.1.110:4223,h1,http,,,,,,,,0,0,0,,\
    ,0,,0,0,0,0,0,0,0,0,1,1,,,,-,0,0,0,,,,,,,,,,,,,,,,,,,,,,";
/// See [`FRONTEND_HTTP`].
const SERVER_TCP: &str = "ldap,ldap-svc1,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,1,1,0,0,0,1,0,,1,10,1,,0,,2,0,,0,L4OK,,0,,,,,,,,,,,0,0,\
    ,,,,-1,,,0,0,0,0,,,,Layer4 check passed,,2,2,3,,,,127.77.1.108:4223,,tcp,,,,,,,,0,0,0,,,0,,0,0,0,0,0\
    ,0,0,0,1,1,,,,-,0,0,0,,,,,,,,,,,,,,,,,,,,,,";

impl Haproxy {
    pub(super) fn show_info(&self, now: Duration) -> String {
        let uptime = now.saturating_sub(self.born).as_secs();
        format!(
            "{INFO_START}Pid: {}\nUptime: {}\nUptime_sec: {uptime}\n{INFO_MIDDLE}node: {}\ndescription: {}\n{INFO_END}\
             Start_time_sec: {}\nTainted: 0\n\n",
            self.setup.pid,
            age(uptime),
            self.setup.node,
            self.setup.description,
            self.setup.started + self.born.as_secs(),
        )
    }

    pub(super) fn show_backend(&self) -> String {
        let mut text = "# name\n".to_owned();
        for backend in &self.backends {
            let _ = writeln!(text, "{}", backend.layout.name);
        }
        text.push('\n');
        text
    }

    pub(super) fn show_proc(&self, now: Duration) -> String {
        let seconds = now.saturating_sub(self.born).as_secs();
        let (minutes, hours) = (seconds / 60, seconds / 3600);
        let uptime = format!(
            "{}d{:02}h{:02}m{:02}s",
            hours / 24,
            hours % 24,
            minutes % 60,
            seconds % 60
        );
        let row = |kind: &str, pid: u32, reloads: &str| {
            format!("{pid:<15} {kind:<15} {reloads:<15} {uptime:<15} {VERSION}\n")
        };
        format!(
            "{:<15} {:<15} {:<15} {:<15} {:<15}\n{}# workers\n{}# programs\n\n",
            "#<PID>",
            "<type>",
            "<reloads>",
            "<uptime>",
            "<version>",
            row("master", 1, &format!("{} [failed: 0]", self.reloads)),
            row("worker", self.setup.pid, "0"),
        )
    }

    pub(super) fn show_servers_state(&self, only: Option<&str>, now: Duration) -> String {
        if let Some(name) = only
            && !self
                .backends
                .iter()
                .any(|backend| backend.layout.name == name)
        {
            return "Can't find backend.\n\n".to_owned();
        }
        let mut text = STATE_HEADER.to_owned();
        for backend in &self.backends {
            if only.is_some_and(|name| name != backend.layout.name) {
                continue;
            }
            for (number, server) in (1..).zip(&backend.servers) {
                let address = self.setup.addresses.get(server.origin());
                let _ = writeln!(
                    text,
                    "{} {} {number} {} {} {} {} {} {INITIAL_WEIGHT} {} {} {} {} {} 0 0 0 - {} - 0 0 - - 0",
                    backend.layout.id,
                    backend.layout.name,
                    server.name(),
                    address.map_or_else(|| "-".to_owned(), |address| address.ip().to_string()),
                    server.operational(),
                    server.admin.0,
                    server.weight,
                    now.saturating_sub(server.changed).as_secs(),
                    server.checked.status,
                    server.checked.result,
                    server.health,
                    server.check_state(),
                    address.map_or(0, std::net::SocketAddr::port),
                );
            }
        }
        text.push('\n');
        text
    }

    /// `show stat`, all of it or with its three arguments: proxy, kinds, server.
    pub(super) fn show_stat(&self, words: &[&str], level: Level, now: Duration) -> String {
        let (proxy, kinds, server) = match words {
            // A lone word is ignored.
            [proxy, kinds, server, ..] => (*proxy, number(kinds), number(server)),
            _ => ("-1", -1, -1),
        };
        let all = proxy == "-1";
        let wanted = |known: &Proxy| all || known.name == proxy || known.id.to_string() == proxy;
        if !self.proxies().any(|(known, _)| wanted(known)) {
            return "No such proxy.\n\n".to_owned();
        }
        let has = |kind: i32| kinds & kind != 0;
        let mut text = format!("# {COLUMNS}\n");
        for (layout, backend) in self.proxies().filter(|(known, _)| wanted(known)) {
            let Some(backend) = backend else {
                if has(1) {
                    text.push_str(&frontend(layout));
                }
                continue;
            };
            for (id, one) in (1..).zip(&backend.servers) {
                if has(4) && (server == -1 || server == id) {
                    text.push_str(&self.server_row(backend, (id, one), level, now));
                }
            }
            if has(2) {
                text.push_str(&backend_row(backend, level, now));
            }
        }
        text.push('\n');
        text
    }

    fn server_row(
        &self,
        backend: &Backend,
        (id, server): (i32, &Server),
        level: Level,
        now: Duration,
    ) -> String {
        let mut row = Row::new(match backend.layout.mode {
            Mode::Http => SERVER_HTTP,
            Mode::Tcp => SERVER_TCP,
        });
        row.set("pxname", backend.layout.name);
        row.set("svname", server.name());
        row.set("scur", server.sessions);
        row.set("smax", server.most_sessions);
        row.set("stot", server.all_sessions);
        row.set("lbtot", server.all_sessions);
        row.set("status", server.status());
        row.set("weight", server.weight);
        row.set("uweight", server.weight);
        row.set("act", u32::from(!server.member().backup));
        row.set("bck", u32::from(server.member().backup));
        row.set("chkfail", server.failures);
        row.set("chkdown", server.downs);
        row.set("lastchg", now.saturating_sub(server.changed).as_secs());
        row.set("downtime", server.downtime(now).as_secs());
        row.set("iid", backend.layout.id);
        row.set("sid", id);
        let in_maintenance = server.admin.word() == AdminWord::Maint;
        let checked = |text: String| if in_maintenance { String::new() } else { text };
        row.set("check_status", checked(server.checked.word.to_owned()));
        row.set("check_code", checked(server.checked.code.to_owned()));
        row.set("check_duration", checked("0".to_owned()));
        row.set("last_chk", checked(server.checked.said.to_owned()));
        row.set("check_desc", checked(server.checked.meaning.to_owned()));
        row.set("check_rise", checked(RISE.to_string()));
        row.set("check_fall", checked(FALL.to_string()));
        row.set("check_health", checked(server.health.to_string()));
        let address = self.setup.addresses.get(server.origin());
        let open = level >= Level::Operator;
        row.set(
            "addr",
            address
                .filter(|_| open)
                .map(ToString::to_string)
                .unwrap_or_default(),
        );
        row.set(
            "cookie",
            server.member().cookie.filter(|_| open).unwrap_or_default(),
        );
        row.line()
    }
}

fn frontend(layout: &Proxy) -> String {
    let mut row = Row::new(match layout.mode {
        Mode::Http => FRONTEND_HTTP,
        Mode::Tcp => FRONTEND_TCP,
    });
    row.set("pxname", layout.name);
    row.set("iid", layout.id);
    row.line()
}

fn backend_row(backend: &Backend, level: Level, now: Duration) -> String {
    let mut row = Row::new(match backend.layout.mode {
        Mode::Http => BACKEND_HTTP,
        Mode::Tcp => BACKEND_TCP,
    });
    let sum = |of: fn(&Server) -> u64| backend.servers.iter().map(of).sum::<u64>();
    let (active, backup) = backend.usable();
    let since = now.saturating_sub(backend.changed);
    row.set("pxname", backend.layout.name);
    row.set("scur", sum(|server| server.sessions));
    row.set("smax", sum(|server| server.most_sessions));
    row.set("stot", sum(|server| server.all_sessions));
    row.set("lbtot", sum(|server| server.all_sessions));
    row.set("status", if backend.is_up() { "UP" } else { "DOWN" });
    row.set("weight", backend.weight());
    row.set("uweight", backend.weight());
    row.set("act", active);
    row.set("bck", backup);
    row.set("chkdown", backend.downs);
    row.set("lastchg", since.as_secs());
    let downtime = if backend.is_up() {
        backend.downtime
    } else {
        backend.downtime + since
    };
    row.set("downtime", downtime.as_secs());
    row.set("iid", backend.layout.id);
    let open = level >= Level::Operator;
    row.set(
        "cookie",
        backend.layout.cookie.filter(|_| open).unwrap_or_default(),
    );
    row.set(
        "algo",
        match backend.layout.mode {
            _ if !open => "",
            Mode::Http => "roundrobin",
            Mode::Tcp => "leastconn",
        },
    );
    // The checks' own connections; they only grow.
    for column in [
        "h1_total_connections",
        "h1_total_streams",
        "h1_bytes_in",
        "h1_bytes_out",
    ] {
        row.set(column, 0);
    }
    row.line()
}

/// A row of `show stat`, its columns set by name.
struct Row {
    fields: Vec<String>,
}

impl Row {
    fn new(idle: &str) -> Self {
        Self {
            fields: idle.split(',').map(str::to_owned).collect(),
        }
    }

    fn set(&mut self, column: &str, value: impl std::fmt::Display) {
        let place = COLUMNS.split(',').position(|name| name == column);
        if let Some(field) = place.and_then(|place| self.fields.get_mut(place)) {
            *field = value.to_string();
        }
    }

    fn line(&self) -> String {
        self.fields.join(",") + "\n"
    }
}

/// A number as C's `atoi` reads it.
fn number(text: &str) -> i32 {
    text.parse().unwrap_or(0)
}

/// A time as HAProxy prints it: `0d 0h00m05s` in `show info`.
fn age(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    format!(
        "{}d {}h{:02}m{:02}s",
        hours / 24,
        hours % 24,
        minutes % 60,
        seconds % 60
    )
}
