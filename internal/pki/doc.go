// Package pki makes and reads certificates.
package pki
