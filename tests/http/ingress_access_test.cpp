// Private ports and their signatures.

#include "http/ingress/access.hpp"
#include "http/ingress/artifacts.hpp"
#include "http/ingress_support.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::http::ingress;
using namespace sandy::tests;

TEST_CASE("a signature is good for its port, its sandbox and its time", "[ingress]") {
  port_signer signer{"secret"};
  auto token = signer.sign(guest_id, 3000, 5000);
  CHECK(signer.good_until(token, guest_id, 3000, 4999) == 5000);
  CHECK_FALSE(signer.good_until(token, guest_id, 3000, 5000));
  CHECK_FALSE(signer.good_until(token, guest_id, 3001, 1));
  CHECK_FALSE(signer.good_until(token, sandbox_id{std::string(24, 'a')}, 3000, 1));
  CHECK_FALSE(port_signer{"other"}.good_until(token, guest_id, 3000, 1));
  CHECK_FALSE(signer.good_until("6000" + token.substr(4), guest_id, 3000, 1));
  CHECK_FALSE(signer.good_until("0" + token, guest_id, 3000, 1));
  CHECK_FALSE(signer.good_until(token + "0", guest_id, 3000, 1));
  for (auto nonsense : {"", ".", "5000", "5000.", "x.y"})
    CHECK_FALSE(signer.good_until(nonsense, guest_id, 3000, 1));
  CHECK(port_signer{}.sign(guest_id, 3000, 5000).empty());
  CHECK_FALSE(port_signer{}.good_until("", guest_id, 3000, 1));
}

TEST_CASE("our parameter and our cookie are taken out, the rest stays as it is", "[ingress]") {
  auto split = take_access("/a?b=%20&sandy_access=1.f&&c");
  CHECK(split.target == "/a?b=%20&&c");
  CHECK(split.access == "1.f");
  CHECK(take_access("/a?sandy_access=1.f").target == "/a");
  CHECK(take_access("/a?").target == "/a?");
  CHECK(take_access("/a").target == "/a");
  CHECK_FALSE(take_access("/a?sandy_accessory=1").access);
  CHECK(access_cookie_of("a=b; sandy-access-80=1.f; c", 80) == "1.f");
  CHECK(access_cookie_of("a=b; sandy-access-80=1.f", 8).empty());
}

TEST_CASE("a private port takes a signature", "[ingress]") {
  scripted_application app{[](application_link& link) {
    for (auto head = link.head(); !head.empty(); head = link.head())
      link.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" + head);
  }};
  ingress_engine engine{app.port, {}, {app.port}};
  port_signer signer{"a secret of tests"};
  auto token = signer.sign(guest_id, app.port, unix_now() + 60'000);
  auto closed = engine.ask(ingress_engine::get());
  CHECK(closed.status == 403);
  CHECK(closed.body.find("is private") != std::string::npos);

  auto sent_on = engine.ask(ingress_engine::get("/page?a=b&sandy_access=" + token));
  CHECK(sent_on.status == 302);
  CHECK(sent_on.fields["location"] == "/page?a=b");
  auto cookie = sent_on.fields["set-cookie"];
  CHECK(cookie.starts_with("sandy-access-" + std::to_string(app.port) + "=" + token + "; Path=/; Max-Age="));
  CHECK(cookie.find("; HttpOnly") != std::string::npos);

  auto let_in = engine.ask(
      ingress_engine::get("/page?a=b", "Cookie: " + cookie.substr(0, cookie.find(';')) + "; own=1\r\n"));
  CHECK(let_in.status == 200);
  CHECK(let_in.body.find("Cookie: own=1\r\n") != std::string::npos);
  CHECK(let_in.body.find("sandy") == let_in.body.find("sandy.localhost")); // nothing of the signature

  // What no browser navigates to is let in at once.
  auto posted = engine.ask("POST /?sandy_access=" + token + " HTTP/1.1\r\nHost: " + guest_id.value +
                           ".sandy.localhost\r\nContent-Length: 0\r\n\r\n");
  CHECK(posted.status == 200);
  CHECK(posted.body.starts_with("POST / HTTP/1.1"));

  for (const auto& wrong : {signer.sign(guest_id, app.port, 1), signer.sign(guest_id, 1, unix_now() + 60'000),
                            std::string{"x"}}) {
    auto refused = engine.ask(ingress_engine::get("/?sandy_access=" + wrong));
    CHECK(refused.status == 403);
    CHECK(refused.body.find("has expired") != std::string::npos);
  }
  CHECK(engine.ask(ingress_engine::get("//evil.example.com/?sandy_access=" + token)).status == 400);
}

TEST_CASE("a signature opens a port that is not exposed", "[ingress]") {
  scripted_application app{scripted_application::always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")};
  ingress_engine engine{1};
  auto token = port_signer{"a secret of tests"}.sign(guest_id, app.port, unix_now() + 60'000);
  auto named = "Host: " + std::to_string(app.port) + "-" + guest_id.value + ".sandy.localhost\r\n";
  CHECK(engine.ask("GET / HTTP/1.1\r\n" + named + "\r\n").status == 404);
  CHECK(engine.ask("PUT /?sandy_access=" + token + " HTTP/1.1\r\n" + named + "\r\n").status == 200);
}

TEST_CASE("an artifact's path does not lead out", "[ingress]") {
  CHECK(artifact_path("/artifacts/a/b.png") == "a/b.png");
  CHECK(artifact_path("/artifacts/a%20b?c") == "a b");
  CHECK((is_artifact("/artifacts?x") && is_artifact("/artifacts/../x") && !is_artifact("/artifactsx/a")));
  for (auto none :
       {"/", "/artifacts", "/artifacts/", "/artifacts/../x", "/artifacts/a/../../x", "/artifacts/%2e%2e/x",
        "/artifacts/a%2f..%2f..%2fx", "/artifacts/%zz", "/artifacts/a%00", "/artifactsx/a"})
    CHECK_FALSE(artifact_path(none));
  CHECK(media_type_of("a/b.PNG") == "image/png");
  CHECK(media_type_of("a.b/c") == "application/octet-stream");
  CHECK(media_type_of("index.html") == "text/html; charset=utf-8");
}
