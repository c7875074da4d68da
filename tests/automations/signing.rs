//! Signed plugins, with the command line: an engine that runs only plugins that are signed with a trusted key.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use pombo_tests::automation::{automate, try_upload, variant};
use pombo_tests::server::{Server, binary};
use pombo_tests::tenant::text_of;
use serde_json::json;

use crate::shared::{Chat, options};

struct Author<'a> {
    server: &'a Server,
    chat: &'a Chat,
    folder: &'a Path,
}

impl Author<'_> {
    fn pombo(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary());
        command.arg("plugin").args(args).current_dir(self.folder);
        command
            .env("POMBO_URL", format!("http://{}", self.server.address()))
            .env("POMBO_API_KEY", &self.chat.tenant.key);
        Ok(command.output()?)
    }

    /// A new key; its public half.
    fn key(&self, file: &str) -> Result<String> {
        let output = self.pombo(&["keygen", file])?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "{said}");
        let public = said.lines().map(str::trim).find(|line| line.len() == 44 && line.ends_with('='));
        public.map(str::to_owned).with_context(|| format!("no public key in {said}"))
    }

    /// Publishes a version; whether it was taken, and what was said.
    fn publish(&self, behaviour: &str, key: Option<&str>) -> Result<(bool, String)> {
        std::fs::write(self.folder.join("plugin.wasm"), variant("echo", behaviour)?)?;
        let mut args = vec!["publish", "plugin.wasm", "--grant"];
        args.extend(key.into_iter().flat_map(|key| ["--key-file", key]));
        let output = self.pombo(&args)?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(matches!(output.status.code(), Some(0 | 1)), "{:?}: {said}", output.status);
        Ok((output.status.success(), said))
    }
}

#[test]
fn only_what_a_trusted_key_signed_is_taken() -> Result<()> {
    let server = Server::start(options("[plugins]\nunsigned = \"none\"")?)?;
    let (chat, folder) = (Chat::new(&server)?, tempfile::tempdir()?);
    let author = Author { server: &server, chat: &chat, folder: folder.path() };
    let client = &chat.tenant.client;
    let (ours, _stranger) = (author.key("ours.pem")?, author.key("stranger.pem")?);
    let root = client.post("/v1/trust-roots", &json!({"name": "releases", "key": ours}))?.expect_json(201)?;
    let root = text_of(&root, "id")?;

    let unsigned = try_upload(client, &variant("echo", "count 1")?, None)?.expect(403)?.text();
    ensure!(unsigned.contains("sign"), "{unsigned}");
    for (behaviour, key) in [("count 1", None), ("count 1", Some("stranger.pem"))] {
        let (taken, said) = author.publish(behaviour, key)?;
        ensure!(!taken && said.contains("sign"), "{key:?}: {said}");
    }
    // Nor does a good signature of one component make another good.
    client.get("/v1/plugins/echo")?.expect(404)?;
    let (taken, said) = author.publish("count 1", Some("ours.pem"))?;
    ensure!(taken, "{said}");
    let plugin = client.get("/v1/plugins/echo")?.expect_json(200)?;
    ensure!(plugin["versions"][0]["signedBy"] == root.as_str(), "{plugin}");
    automate(&chat.tenant, &chat.connector, "echo", &json!({}))?;
    chat.pipe.write("ana", "oi");
    assert_eq!(chat.pipe.answers("ana", 1)?, ["oi #1"]);

    // Revoked, it signs nothing new; what runs goes on.
    client.delete(&format!("/v1/trust-roots/{root}"))?.expect(204)?;
    let roots = client.get("/v1/trust-roots")?.expect_json(200)?;
    ensure!(roots["data"][0]["revokedAt"].is_string(), "{roots}");
    let (taken, said) = author.publish("count 2", Some("ours.pem"))?;
    ensure!(!taken && said.contains("sign"), "{said}");
    chat.pipe.write("ana", "ainda?");
    assert_eq!(chat.pipe.answers("ana", 2)?[1], "ainda? #2");
    // The private key is told to nobody.
    let private = std::fs::read_to_string(folder.path().join("ours.pem"))?;
    let private = private.lines().nth(1).context("no key in the file")?;
    ensure!(!server.log()?.contains(private), "the log has a private key");
    Ok(())
}
