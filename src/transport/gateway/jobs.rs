//! A gateway's share as one message, and the inputs of its commands.

use std::borrow::Cow;
use std::time::Duration;

use super::Gateways;
use crate::event::NodeId;
use crate::gateway::Data;
use crate::gateway::merge::fold;
use crate::gateway::{Ask, Job, Run};
use crate::transport::Command;
use crate::transport::input::Input;
use crate::transport::launch::Launch;

use super::outbox::Outbox;

/// What a gateway is to run, and what the commands read.
pub(super) fn run(
    gateways: &Gateways,
    launch: &Launch<'_>,
    gateway: &str,
    nodes: &[NodeId],
) -> (Run, Vec<Input>) {
    let plan = launch.plan;
    let mut inputs: Vec<Input> = Vec::new();
    let mut jobs: Vec<(Cow<'_, Command>, Option<u32>, Vec<NodeId>)> = Vec::new();
    for node in nodes {
        let command = (launch.command)(*node);
        let input = command.stdin.as_ref().map(|stdin| {
            let known = inputs.iter().position(|input| input.is_same(stdin));
            let place = known.unwrap_or_else(|| {
                inputs.push(stdin.clone());
                inputs.len() - 1
            });
            u32::try_from(place).unwrap_or(u32::MAX)
        });
        // Neighbours mostly run the same; the order of the plan stays as it is.
        match jobs.last_mut() {
            Some((known, of, nodes))
                if known.line == command.line && known.pty == command.pty && *of == input =>
            {
                nodes.push(*node);
            }
            _ => jobs.push((command, input, vec![*node])),
        }
    }
    let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
    let below = gateways.topology.below(gateway);
    let run = Run {
        root: gateway.to_owned(),
        routes: below
            .iter()
            .map(|route| (route.from.to_string(), route.to.to_string()))
            .collect(),
        jobs: jobs
            .into_iter()
            .map(|(command, input, nodes)| Job {
                nodes: fold(&plan.nodes, &nodes),
                line: command.line.clone(),
                pty: command.pty,
                input,
            })
            .collect(),
        inputs: u32::try_from(inputs.len()).unwrap_or(u32::MAX),
        fanout: plan.fanout.get(),
        connect: seconds(plan.limits.connect),
        authenticate: seconds(plan.limits.authenticate),
        idle: seconds(plan.limits.idle),
        command: seconds(plan.limits.command),
        retries: plan.tolerance.retries,
        reach: gateways.reach.clone(),
        install: gateways.install.is_some(),
    };
    (run, inputs)
}

/// Sends an input to its end, as fast as the gateway takes it.
pub(super) async fn feed(number: u32, input: &Input, out: &Outbox) {
    let mut reader = input.reader();
    let broken = loop {
        out.room().await;
        match reader.next().await {
            Ok(data) if data.is_empty() => break false,
            Ok(data) => out.push(&Ask::Input {
                input: number,
                data: Data(data),
            }),
            Err(_) => break true,
        }
    };
    out.push(&Ask::InputEnd {
        input: number,
        broken,
    });
}
