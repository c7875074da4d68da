//! Accounts that demand a passkey of whoever links them: linked by the API and by the page of a link, with a passkey in software; and every
//! way in which such a linking stalls, each with its name within 15 seconds.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use pombo_tests::process::root;
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::{Events, PLUGIN, connected};
use pombo_whatsapp_sim::faults::PasskeyFault;
use pombo_whatsapp_sim::world::NewAccount;
use serde_json::{Value, json};

use crate::shared::{Stage, number, stage};

/// Until when each stall has its name.
const NAMED: Duration = Duration::from_secs(15);
/// How long a person gets here.
const PERSON_SECONDS: u64 = 10;

/// A connector that is to be linked with an account that demands a passkey.
struct Linking {
    stage: &'static Stage,
    tenant: Tenant,
    connector: String,
    phone: String,
}

impl Linking {
    fn new() -> Result<Self> {
        let (stage, phone) = (stage()?, number());
        let account = NewAccount { phone: phone.clone(), demands_passkey: true, ..NewAccount::default() };
        stage.whatsapp.world().register(account)?;
        let tenant = Tenant::create(&stage.server)?;
        let pairing = json!({"pairing": {"timeoutSeconds": PERSON_SECONDS, "attempts": 1}});
        let connector = tenant.connector(PLUGIN, &stage.whatsapp.config(&pairing))?;
        Ok(Self { stage, tenant, connector, phone })
    }

    fn path(&self, below: &str) -> String {
        format!("/v1/connectors/{}/session{below}", self.connector)
    }

    fn session(&self) -> Result<Value> {
        self.tenant.client.get(&self.path(""))?.expect_json(200)
    }

    fn scan(&self, qr: &str) -> Result<()> {
        let scanned = self.stage.whatsapp.admin(&format!("/phones/{}/scan", self.phone), &json!({"qr": qr}))?;
        ensure!(scanned["asksForPasskey"] == true, "{scanned}");
        Ok(())
    }

    /// Shows a code, and the phone uses it.
    fn open(&self) -> Result<()> {
        let opened = self.tenant.client.post(&self.path(""), &json!({}))?.expect_json(200)?;
        self.scan(&text_of(&opened, "qrText").with_context(|| opened.to_string())?)
    }

    /// The step of this kind, once it waits.
    fn step(&self, kind: &str) -> Result<Value> {
        let mut last = Value::Null;
        until(&format!("the step {kind}"), PATIENCE, || {
            last = self.session()?;
            Ok((last["linkStep"]["kind"] == kind).then(|| last["linkStep"].clone()))
        })
        .with_context(|| format!("the session's last state: {last}"))
    }

    /// What the account's passkey answers to a step.
    fn assertion(&self, step: &Value) -> Result<Value> {
        let passkey = self.stage.whatsapp.world().passkey(&self.phone).context("it demands one")?;
        passkey.answer(&step["options"]).with_context(|| format!("no challenge: {step}"))
    }

    fn answer(&self, body: &Value) -> Result<Value> {
        self.tenant.client.post(&self.path("/passkey"), body)?.expect_json(200)
    }

    fn give(&self) -> Result<()> {
        let step = self.step("passkey")?;
        self.answer(&json!({"id": step["id"], "assertion": self.assertion(&step)?}))?;
        Ok(())
    }

    /// Compares the code with the one on the phone, and says whether it is the same.
    fn compare(&self) -> Result<bool> {
        let step = self.step("passkey-confirm")?;
        let shown = self.stage.whatsapp.world().passkey_code(&self.phone).context("the phone shows a code")?;
        let same = step["options"]["code"] == shown;
        self.answer(&json!({"id": step["id"], "confirm": same}))?;
        Ok(same)
    }

    /// Waits until linking came to nothing, for a reason with these words.
    fn named(&self, words: &str) -> Result<()> {
        let begin = Instant::now();
        let mut last = Value::Null;
        until(&format!("the reason {words:?}"), NAMED, || {
            last = self.session()?;
            let named = last["reason"].as_str().is_some_and(|reason| reason.contains(words));
            Ok((last["status"] == "UNPAIRED" && named).then_some(()))
        })
        .with_context(|| format!("after {:?} the session is {last}", begin.elapsed()))?;
        ensure!(last["linkStep"].is_null(), "nothing waits any more: {last}");
        Ok(())
    }
}

#[test]
fn an_account_is_linked_by_the_api() -> Result<()> {
    let linking = Linking::new()?;
    linking.open()?;
    let step = linking.step("passkey")?;
    assert_eq!(step["options"]["rpId"], "whatsapp.com", "{step}");
    let shown = linking.session()?;
    ensure!(shown["status"] == "UNPAIRED" && shown["reason"].as_str().is_some_and(|why| why.contains("passkey")));

    // What cannot be right is refused, and the step still waits.
    let mut wrong = linking.assertion(&step)?;
    wrong["rawId"] = json!("b3RoZXI");
    for (body, words) in [
        (json!({"id": step["id"], "assertion": wrong}), "not one of those"),
        (json!({"id": "another", "assertion": linking.assertion(&step)?}), "waits"),
        (json!({"id": step["id"], "confirm": true}), "rawId"),
    ] {
        let refused = linking.tenant.client.post(&linking.path("/passkey"), &body)?.expect_json(400)?;
        ensure!(refused["error"]["message"].as_str().is_some_and(|why| why.contains(words)), "{refused}");
    }
    // Whoever asks for a code again gets the step.
    let again = linking.tenant.client.post(&linking.path(""), &json!({}))?.expect_json(200)?;
    assert_eq!(again["linkStep"]["id"], step["id"], "{again}");

    let assertion = linking.assertion(&step)?;
    linking.answer(&json!({"id": step["id"], "assertion": assertion}))?;
    ensure!(linking.compare()?, "the codes are the same");
    connected(&linking.tenant, &linking.connector)?;
    let session = linking.session()?;
    assert_eq!((&session["account"]["address"], session.get("linkStep")), (&json!(linking.phone), None));

    // The questions are in the log of events; nothing of the answer is anywhere.
    let mut events = Events::all(&linking.tenant);
    for kind in ["passkey", "passkey-confirm"] {
        events.expect(kind, |event| {
            event["type"] == "other" && event["data"]["kind"] == "link-step" && event["data"]["payload"]["kind"] == kind
        })?;
    }
    let signature = text_of(&assertion["response"], "signature")?;
    ensure!(!events.drain()?.iter().any(|event| event.to_string().contains(&signature)), "it is in the events");
    ensure!(!linking.stage.server.log()?.contains(&signature), "it is in the log");

    // A session that works is not ended by somebody who has not considered it.
    let kept = linking.tenant.client.delete(&linking.path("?confirm=false"))?.expect_json(409)?;
    ensure!(kept["error"]["message"].as_str().is_some_and(|why| why.contains("passkey")), "{kept}");
    connected(&linking.tenant, &linking.connector)?;
    let closed = linking.tenant.client.delete(&linking.path(""))?.expect_json(200)?;
    ensure!(closed["warning"].is_string(), "{closed}");
    Ok(())
}

#[test]
fn whoever_has_the_phone_links_it_by_the_page_of_a_link() -> Result<()> {
    let linking = Linking::new()?;
    let make = || -> Result<String> {
        let made = linking.tenant.client.post(&linking.path("/link"), &json!({}))?.expect_json(201)?;
        let url = text_of(&made, "url")?;
        Ok(url[url.find("/link/").context("a link")?..].to_owned())
    };
    until("the connector to wait for somebody", PATIENCE, || {
        Ok((linking.session()?["status"] == "UNPAIRED").then_some(()))
    })?;
    let before = make()?;
    let link = make()?;
    // Without a login.
    let browser = linking.stage.server.client();
    browser.get(&format!("{before}/state"))?.expect(404)?;
    let page = browser.request("GET", &link).header("Accept-Language", "pt-BR").send()?.expect(200)?;
    ensure!(page.text().contains("Mostrar o QR code"), "{}", page.text());
    for part in ["page.js", "page.css"] {
        browser.get(&format!("{link}/{part}"))?.expect(200)?;
    }
    let stage = |wanted: &str| {
        let mut last = Value::Null;
        until(&format!("the stage {wanted}"), PATIENCE, || {
            last = browser.get(&format!("{link}/state"))?.expect_json(200)?;
            Ok((last["stage"] == wanted).then(|| last.clone()))
        })
        .with_context(|| format!("the last state: {last}"))
    };
    let opened = browser.request("POST", &format!("{link}/open")).send()?.expect_json(200)?;
    assert_eq!(opened["stage"], "SCAN", "{opened}");
    let picture = text_of(&opened, "qrCode")?;
    ensure!(picture.starts_with("data:image/png;base64,"), "{picture}");
    linking.scan(&text_of(&linking.session()?, "qrText")?)?;

    let asked = stage("PASSKEY")?["linkStep"].clone();
    let answer = |body: &Value| browser.post(&format!("{link}/answer"), body)?.expect_json(200);
    answer(&json!({"id": asked["id"], "assertion": linking.assertion(&asked)?}))?;
    let asked = stage("COMPARE")?["linkStep"].clone();
    let shown = linking.stage.whatsapp.world().passkey_code(&linking.phone).context("the phone shows a code")?;
    assert_eq!(asked["options"]["code"], shown);
    answer(&json!({"id": asked["id"], "confirm": true}))?;
    stage("DONE")?;
    connected(&linking.tenant, &linking.connector)?;

    // It is used up, also once the session is gone again.
    linking.tenant.client.post(&linking.path("/link"), &json!({}))?.expect(409)?;
    linking.tenant.client.delete(&linking.path("?confirm=true"))?.expect(200)?;
    stage("DONE")?;
    browser.request("POST", &format!("{link}/open")).send()?.expect(404)?;
    browser.get(&link)?.expect(404)?;
    Ok(())
}

/// How far the person goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Far {
    /// Nobody gives the passkey.
    Scans,
    /// Nobody compares the code.
    Gives,
    Compares,
}

/// Links with this fault; what the reason must say.
fn stalls(fault: Option<PasskeyFault>, far: Far, words: &str) -> Result<()> {
    let linking = Linking::new()?;
    if let Some(fault) = fault {
        linking.stage.whatsapp.world().faults.on_next_passkey(&linking.phone, fault);
    }
    linking.open()?;
    if far != Far::Scans {
        linking.give()?;
    }
    if far == Far::Compares {
        linking.compare()?;
    } else if far == Far::Gives && fault.is_none() {
        linking.step("passkey-confirm")?;
    }
    linking.named(words)
}

#[test]
fn each_way_to_stall_has_its_name_in_time() -> Result<()> {
    use PasskeyFault as Fault;
    let ways: [(Option<Fault>, Far, &str); 19] = [
        (Some(Fault::Silent), Far::Scans, "asked for no passkey"),
        (Some(Fault::OptionsRefused), Far::Scans, "did not say which one (code 404)"),
        (Some(Fault::OptionsIgnored), Far::Scans, "its question never came"),
        (Some(Fault::BrokenOptions), Far::Scans, "no challenge"),
        (None, Far::Scans, "was not given in time"),
        (Some(Fault::NoReference), Far::Gives, "gave no reference"),
        (Some(Fault::Ignored), Far::Gives, "did not answer the passkey"),
        (Some(Fault::Refused), Far::Gives, "not one of this account"),
        (Some(Fault::Expired), Far::Gives, "its question had expired"),
        (Some(Fault::CutAfterAnswer), Far::Gives, "broke while the passkey was being given"),
        (Some(Fault::NeverContinued), Far::Gives, "never went on"),
        (Some(Fault::BrokenContinuation), Far::Gives, "cannot be used"),
        (Some(Fault::NonceIgnored), Far::Gives, "never went on"),
        (None, Far::Gives, "nobody confirmed the code"),
        (Some(Fault::OtherCode), Far::Compares, "showed another code"),
        (Some(Fault::ConfirmIgnored), Far::Compares, "did not answer the confirmation"),
        (Some(Fault::ConfirmRefused), Far::Compares, "refused the confirmation"),
        (Some(Fault::CutAfterConfirm), Far::Compares, "broke while the code was being confirmed"),
        (Some(Fault::NeverPaired), Far::Compares, "never finished linking"),
    ];
    std::thread::scope(|scope| {
        let running: Vec<_> =
            ways.iter().map(|(fault, far, words)| (fault, scope.spawn(move || stalls(*fault, *far, words)))).collect();
        for (fault, thread) in running {
            let ended = thread.join().map_err(|_| anyhow!("{fault:?}: it panicked"))?;
            ended.with_context(|| format!("{fault:?}"))?;
        }
        Ok(())
    })
}

#[test]
fn after_a_stall_the_account_is_linked_anew() -> Result<()> {
    let linking = Linking::new()?;
    linking.stage.whatsapp.world().faults.on_next_passkey(&linking.phone, PasskeyFault::Refused);
    linking.open()?;
    linking.give()?;
    linking.named("not one of this account")?;
    // A request without its options is asked for them.
    linking.stage.whatsapp.world().faults.on_next_passkey(&linking.phone, PasskeyFault::WithoutOptions);
    linking.open()?;
    linking.give()?;
    ensure!(linking.compare()?, "the codes are the same");
    connected(&linking.tenant, &linking.connector)
}

#[test]
fn whoever_closes_the_session_stops_the_step() -> Result<()> {
    let linking = Linking::new()?;
    linking.open()?;
    linking.step("passkey")?;
    linking.tenant.client.delete(&linking.path(""))?.expect(200)?;
    linking.named("cancelled")
}

/// Has Node run the extension on a page that was opened with this question; what it did.
fn extension(origins: &str) -> Result<Value> {
    const PAGE: &str = r##"
        const fs = require("node:fs"), vm = require("node:vm");
        const [folder, origins] = process.argv.slice(1);
        const did = { bar: [], messages: [] };
        const element = (kind) => ({ kind, style: {}, append() {}, remove() {}, attachShadow: () => element("root"),
          set textContent(text) { did.bar.push(text); },
          addEventListener(event, call) { if (event === "click") did.press = call; } });
        const asked = { id: "s1", options: { challenge: "YQ", rpId: "whatsapp.com", allowCredentials: [{ type: "public-key", id: "YWI" }] },
          returnTo: "https://pombo.example/link/TOKEN" };
        const bytes = (text) => new TextEncoder().encode(text).buffer;
        const page = { URL, TextDecoder, TextEncoder, Uint8Array, atob, btoa, PublicKeyCredential: {},
          location: { hash: "#pombo-passkey=" + Buffer.from(JSON.stringify(asked)).toString("base64url"), pathname: "/" },
          history: { replaceState: () => { did.cleaned = true; } },
          opener: { postMessage: (said, origin) => did.messages.push({ said, origin }) },
          navigator: { credentials: { get: async ({ publicKey }) => { did.asked = Buffer.from(publicKey.challenge).toString();
            return { id: "YWI", rawId: bytes("ab"), type: "public-key",
              response: { clientDataJSON: bytes("c"), authenticatorData: bytes("a"), signature: bytes("s") } }; } } },
          document: { body: element("body"), createElement: element } };
        page.window = page;
        vm.createContext(page);
        vm.runInContext(fs.readFileSync(folder + "/origins.js", "utf8"), page);
        page.pomboOrigins.push(...JSON.parse(origins));
        vm.runInContext(fs.readFileSync(folder + "/passkey.js", "utf8"), page);
        (async () => { if (did.press) await did.press(); console.log(JSON.stringify(did)); })();
    "##;
    let output = Command::new("node").args(["-e", PAGE, "--"]).arg(root().join("extension")).arg(origins).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn the_extension_gives_the_answer_to_the_page_that_may_have_it() -> Result<()> {
    let given = extension(r#"["https://pombo.example"]"#)?;
    assert_eq!((&given["asked"], &given["cleaned"]), (&json!("a"), &json!(true)), "{given}");
    let message = &given["messages"][0];
    assert_eq!(message["origin"], "https://pombo.example", "{given}");
    assert_eq!((&message["said"]["type"], &message["said"]["id"]), (&json!("pombo-passkey"), &json!("s1")));
    assert_eq!(message["said"]["assertion"]["rawId"], "YWI");
    for others in ["[]", r#"["https://other.example"]"#] {
        let refused = extension(others)?;
        ensure!(refused["messages"] == json!([]) && refused["asked"].is_null(), "{refused}");
        ensure!(refused["bar"].to_string().contains("not in origins.js"), "{refused}");
    }
    Ok(())
}

#[test]
fn the_scripts_of_page_and_extension_are_valid() -> Result<()> {
    for script in
        ["extension/passkey.js", "extension/origins.js", "engine/facades/control/src/connectors/link_page/page.js"]
    {
        let checked = Command::new("node").arg("--check").arg(root().join(script)).output()?;
        ensure!(checked.status.success(), "{script}: {}", String::from_utf8_lossy(&checked.stderr));
    }
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(root().join("extension/manifest.json"))?)?;
    let script = &manifest["content_scripts"][0];
    assert_eq!((&manifest["manifest_version"], &script["world"]), (&json!(3), &json!("MAIN")));
    assert_eq!(script["matches"], json!(["https://web.whatsapp.com/*"]));
    for file in script["js"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        ensure!(root().join("extension").join(file).is_file(), "{file} is not there");
    }
    Ok(())
}
