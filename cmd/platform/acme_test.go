package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// actAsACME makes the test binary an authority that gives certificates to whoever
// proves a domain on that port: a process, because it cannot be stopped otherwise.
const actAsACME = "ACT_AS_ACME_FOR_PORT"

// acmeTold is what the authority says of itself, in one line.
type acmeTold struct {
	Directory string
	Server    []byte // DER: the certificate of the authority's own door
	Root      []byte // DER: who vouches for those it gives
}

func actACME() {
	port, err := strconv.Atoi(os.Getenv(actAsACME))
	if err != nil {
		panic(err)
	}
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
	checker := va.New(quiet, 0, port, true, resolver(), store)
	front := wfe.New(quiet, store, checker, issuer, nil, true, false, 1, 1)
	door := httptest.NewTLSServer(front.Handler())
	told, err := json.Marshal(acmeTold{door.URL + wfe.DirectoryPath, door.Certificate().Raw, issuer.GetRootCert(0).DER})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(told))
	_, _ = io.Copy(io.Discard, os.Stdin) // until nobody needs it any more
}

// resolver is a name server to which every name is this machine.
func resolver() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	answer := func(w dns.ResponseWriter, asked *dns.Msg) {
		m := new(dns.Msg).SetReply(asked)
		if q := asked.Question[0]; q.Qtype == dns.TypeA {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(m)
	}
	go func() { _ = (&dns.Server{Listener: listener, Handler: dns.HandlerFunc(answer)}).ActivateAndServe() }()
	return listener.Addr().String()
}

// startACME starts an authority that asks on 127.0.0.1:port. environ is for a
// server that is to use it.
func startACME(t *testing.T, port string) (environ []string, root *x509.CertPool, stop func()) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), actAsACME+"="+port, "PEBBLE_VA_NOSLEEP=1")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	stop = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	var told acmeTold
	require.NoError(t, json.Unmarshal(line, &told))
	cert, err := x509.ParseCertificate(told.Root)
	require.NoError(t, err)
	root = x509.NewCertPool()
	root.AddCert(cert)
	trusted := writeFile(t, "acme.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: told.Server})))
	return []string{"TIDEWIRE_AUTOCERT_DIRECTORY=" + told.Directory, "SSL_CERT_FILE=" + trusted}, root, stop
}

// A certificate comes from an authority when a client first asks for the domain,
// and a restarted server has it still, although the authority is gone.
func TestAutocert(t *testing.T) {
	t.Parallel()
	listen := freePort(t)
	_, port, _ := net.SplitHostPort(listen)
	authority, root, stop := startACME(t, port)
	const domain, failing = "rt.example.com", "gone.example.com"
	environ := append(append(dataDir(t), "TIDEWIRE_LISTEN="+listen, "TIDEWIRE_METRICS_LISTEN=off",
		"TIDEWIRE_AUTOCERT_DOMAINS="+domain+","+failing), authority...)
	log := &buffer{}
	serve := func() (end func()) {
		server := command(t, environ, "serve")
		server.Stderr = log
		require.NoError(t, server.Start())
		end = func() {
			_ = server.Process.Kill()
			_ = server.Wait()
		}
		t.Cleanup(end)
		eventually(t, func() bool { return platform(t, environ, "healthcheck").code == exitOK }, "never healthy: it is asked by address")
		return end
	}
	ask := func(name string) (*x509.Certificate, error) {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", listen, &tls.Config{RootCAs: root, ServerName: name, NextProtos: []string{"h2"}})
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		require.Equal(t, "h2", conn.ConnectionState().NegotiatedProtocol)
		return conn.ConnectionState().PeerCertificates[0], nil
	}
	end := serve()
	var first *x509.Certificate
	eventually(t, func() bool {
		var err error
		first, err = ask(domain)
		return err == nil
	}, "no certificate: who asks first may be sent away while it is fetched")
	require.Equal(t, []string{domain}, first.DNSNames)
	require.Contains(t, first.Issuer.CommonName, "Pebble")
	_, err := ask("other.example.com")
	require.Error(t, err, "nobody else's domain is asked for")
	kept := namesIn(t, filepath.Join(folderOf(environ), "certificates"))
	require.Contains(t, strings.Join(kept, " "), domain)

	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: root, ServerName: domain}, ForceAttemptHTTP2: true,
	}}
	defer client.CloseIdleConnections()
	answer, err := client.Get("https://" + listen + "/healthz")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, 2, answer.ProtoMajor)

	end()
	stop()
	serve()
	again, err := ask(domain)
	require.NoError(t, err)
	require.Equal(t, first.SerialNumber, again.SerialNumber)
	for range 3 {
		_, err = ask(failing)
		require.Error(t, err)
	}
	complaints := func() int { return strings.Count(log.String(), "no certificate for a domain") }
	eventually(t, func() bool { return complaints() > 0 }, "nobody is told")
	require.Equal(t, 1, complaints(), log.String())
	require.Contains(t, log.String(), failing)
	require.NotContains(t, log.String(), "other.example.com")
}
