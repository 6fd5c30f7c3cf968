package smtp

import (
	"crypto/tls"
	"crypto/x509"
)

func clientTLS(host string, roots *x509.CertPool) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}
}
