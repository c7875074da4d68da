//! Hostile uploads: each is refused with a clear message, in bounded memory, while the engine continues to serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use pombo_tests::automation::{activate, component, hostile, install, try_upload, variant};
use pombo_tests::server::Server;
use pombo_tests::tenant::{Tenant, text_of};
use serde_json::json;

use crate::shared::options;

/// A number as WebAssembly writes it.
fn leb(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (n & 0x7f) as u8;
        n >>= 7;
        if n == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [&b"\0asm\x01\0\0\0"[..], &sections.concat()].concat()
}

fn component_of(sections: &[Vec<u8>]) -> Vec<u8> {
    [&b"\0asm\x0d\0\x01\0"[..], &sections.concat()].concat()
}

/// A component around a module with these function bodies, all of type `() -> ()`.
fn functions(bodies: &[Vec<u8>]) -> Vec<u8> {
    let count = leb(bodies.len());
    let types = section(1, &[1, 0x60, 0, 0]);
    let declared = section(3, &[count.clone(), vec![0; bodies.len()]].concat());
    let bodies: Vec<u8> = bodies.iter().flat_map(|body| [leb(body.len()), body.clone()].concat()).collect();
    let code = section(10, &[count, bodies].concat());
    component_of(&[section(1, &module(&[types, declared, code]))])
}

/// A body without locals around these instructions.
fn body(instructions: &[u8]) -> Vec<u8> {
    [&[0][..], instructions, &[0x0b]].concat()
}

/// What is uploaded, and what it is called here.
fn cases() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let echo = component("echo")?;
    let million = vec![body(&[]); 1_000_000];
    // `i32.const 1, drop`, four million times in one function.
    let huge = body(&[0x41, 1, 0x1a].repeat(4_000_000));
    // A hundred thousand blocks within each other.
    let deep = body(&[[0x02, 0x40].repeat(100_000), vec![0x0b; 100_000]].concat());
    // Tens of thousands of locals that all live across many branches: slow to compile, small to send.
    let locals = [
        leb(1),
        leb(40_000),
        vec![0x7f],
        (0..40_000)
            .flat_map(|n| {
                [vec![0x20], leb(n), vec![0x04, 0x40, 0x20], leb(n), vec![0x21], leb((n * 7) % 40_000), vec![0x0b]]
                    .concat()
            })
            .collect(),
        vec![0x0b],
    ]
    .concat();
    let nested = (0..2_000).fold(component_of(&[]), |inner, _| component_of(&[section(4, &inner)]));
    // A function type `() -> ()` of the component model, many times.
    let types = [leb(300_000), [0x40, 0, 1, 0].repeat(300_000)].concat();
    Ok(vec![
        ("wrong magic", b"GIF89a and then something".to_vec()),
        ("nothing", Vec::new()),
        ("a core module", module(&[])),
        ("an empty component", component_of(&[])),
        ("truncated", echo[..echo.len() / 2].to_vec()),
        ("half a header", echo[..6].to_vec()),
        ("a different world", component("renderer")?),
        ("a forbidden import", hostile("forbidden-import")?),
        ("a million functions", functions(&million)),
        ("a huge function", functions(&[huge])),
        ("deep blocks", functions(&[deep])),
        ("forty thousand locals", functions(&vec![locals; 30])),
        ("deep components", nested),
        ("thousands of types", component_of(&[section(7, &types)])),
        ("200 MB", [echo, vec![0; 200 << 20]].concat()),
    ])
}

#[test]
fn hostile_components_are_refused_while_the_engine_serves_on() -> Result<()> {
    let server = Server::start(options("")?)?;
    let tenant = Tenant::create(&server)?;
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let watching = {
        let (stop, served, client) = (stop.clone(), served.clone(), server.client());
        std::thread::spawn(move || -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                client.get("/ready")?.expect(200)?;
                served.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            Ok(())
        })
    };
    let before = server.memory("VmRSS")?;
    for (case, bytes) in cases()? {
        let reply = try_upload(&tenant.client, &bytes, None)?;
        let said = reply.text();
        ensure!((400..500).contains(&reply.status), "{case}: {} {said}", reply.status);
        ensure!(said.len() > 40 && said.len() < 2_000, "{case}: {said}");
        eprintln!("{case}: {} {said}", reply.status);
    }
    stop.store(true, Ordering::Relaxed);
    match watching.join() {
        Ok(result) => result?,
        Err(_) => anyhow::bail!("the watcher panicked"),
    }
    ensure!(served.load(Ordering::Relaxed) > 0, "it served during the uploads");
    let peak = server.memory("VmHWM")?;
    // The largest upload is held once or twice; what compiles is another process.
    ensure!(peak < before + (900 << 20), "{} MB at its peak, {} MB before", peak >> 20, before >> 20);
    let listed = tenant.client.get("/v1/plugins")?.expect_json(200)?;
    ensure!(!listed.to_string().contains("echo"), "nothing was kept: {listed}");
    Ok(())
}

#[test]
fn a_name_belongs_to_whoever_had_it_first() -> Result<()> {
    let server = Server::start(options("")?)?;
    let (first, second) = (Tenant::create(&server)?, Tenant::create(&server)?);
    let (name, digest) = install(&first.client, &component("echo")?)?;
    // Another version of the other's plugin, the very same one, and the name of a plugin that the engine brings.
    for bytes in [variant("echo", "count 1")?, component("echo")?] {
        try_upload(&second.client, &bytes, None)?.expect(409)?;
    }
    try_upload(&second.client, &component("flow")?, None)?.expect(409)?;
    for path in [format!("/v1/plugins/{name}"), format!("/v1/plugins/{name}/logs"), format!("/v1/plugins/{name}/usage")]
    {
        second.client.get(&path)?.expect(404)?;
    }
    let activated = second.client.post(&format!("/v1/plugins/{name}/activate"), &json!({"digest": digest}))?;
    activated.expect(404)?;
    let own = first.client.get(&format!("/v1/plugins/{name}"))?.expect_json(200)?;
    ensure!(own["active"] == digest.as_str(), "{own}");
    // Its owner goes on with it.
    let newer = try_upload(&first.client, &variant("echo", "count 1")?, None)?.expect_json(201)?;
    activate(&first.client, &name, &text_of(&newer, "digest")?, &json!({}))?;
    Ok(())
}
