package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tidewire/channels/channelstest"
	"tidewire/channels/redis"
)

// tlsChild names the URL for the process that trusts the test's certificate.
const tlsChild = "TEST_REDIS_TLS_URL"

// A Redis behind TLS, joined as a user with the rights that are asked for and no
// more: both suites pass where its certificate is trusted, and nothing connects
// where it is not. Trust is a matter of the process (SSL_CERT_FILE), hence two.
func TestTLS(t *testing.T) {
	t.Parallel()
	if url := os.Getenv(tlsChild); url != "" {
		channelstest.TestBroker(t, joined(url, 2))
		channelstest.TestPresence(t, engines(url, 2))
		return
	}
	certificate, key := selfSigned(t)
	port := freePort(t)
	if out, _ := exec.CommandContext(t.Context(), "redis-server", "--tls-port", "no number").CombinedOutput(); !strings.Contains(string(out), "integer") {
		t.Skip("there is no redis-server, or it has no TLS")
	}
	rules, _, _ := strings.Cut(redis.NeededRights, " (")
	s := startServer(t, append([]string{
		"--tls-port", fmt.Sprint(port), "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no",
		"--user", "platform", "on", ">secret",
	}, strings.Fields(rules)...)...)
	url := fmt.Sprintf("rediss://platform:secret@127.0.0.1:%d", port)

	_, err := redis.Open(t.Context(), redis.Config{URL: url})
	require.ErrorContains(t, err, "certificate")
	require.NotContains(t, err.Error(), "secret")

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestTLS$", "-test.v")
	child.Env = append(os.Environ(), tlsChild+"="+url, "SSL_CERT_FILE="+certificate)
	out, err := child.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: TestTLS")
	admin := raw(t, s.addr())
	denied, err := admin.Do(t.Context(), "acl", "log").Slice()
	require.NoError(t, err)
	for _, entry := range denied {
		text := fmt.Sprint(entry)
		require.True(t, strings.Contains(text, "client|setinfo") || strings.Contains(text, "config|get"), text)
	}
}

// selfSigned makes a certificate for 127.0.0.1 and returns the files of it and its key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	return write("redis.crt", "CERTIFICATE", der), write("redis.key", "PRIVATE KEY", secret)
}
