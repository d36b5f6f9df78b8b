package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// A message (LIP-99 §8.3.4) of 3968 bytes: length of the padding 2 | zeros | data | sequence number 4. Data of a request:
// length of the codec, varint | codec | number of SURBs 1 | SURBs | bytes. Data of a reply: length of the codec, 0 | bytes.

const messageFrame = 2 + 4

func pad(data []byte) ([]byte, error) {
	padding := messageSize - messageFrame - len(data)
	if padding < 0 {
		return nil, errors.New("too long for one packet")
	}
	out := binary.BigEndian.AppendUint16(nil, uint16(padding))
	out = append(out, make([]byte, padding)...)
	out = append(out, data...)
	return append(out, 0, 0, 0, 0), nil
}

func unpad(message []byte) ([]byte, error) {
	at := 2 + int(binary.BigEndian.Uint16(message))
	end := len(message) - 4
	if at >= end || !isZero(message[2:at]) {
		return nil, errors.New("padding")
	}
	return message[at:end], nil
}

func requestMessage(codec string, surbs [][]byte, content []byte) ([]byte, error) {
	data := binary.AppendUvarint(nil, uint64(len(codec)))
	data = append(data, codec...)
	data = append(data, byte(len(surbs)))
	data = append(data, bytes.Join(surbs, nil)...)
	return pad(append(data, content...))
}

func readRequest(message []byte) (codec string, surbs [][]byte, content []byte, err error) {
	data, err := unpad(message)
	if err != nil {
		return "", nil, nil, err
	}
	length, n := binary.Uvarint(data)
	if n <= 0 || length >= uint64(len(data)-n) {
		return "", nil, nil, errors.New("codec")
	}
	data = data[n:]
	codec, data = string(data[:length]), data[length:]
	if !utf8.ValidString(codec) {
		return "", nil, nil, errors.New("codec")
	}
	count := int(data[0])
	data = data[1:]
	if count*surbSize > len(data) {
		return "", nil, nil, errors.New("surbs")
	}
	for ; count > 0; count-- {
		surbs, data = append(surbs, data[:surbSize]), data[surbSize:]
	}
	return codec, surbs, data, nil
}

func replyMessage(content []byte) ([]byte, error) {
	return pad(append([]byte{0}, content...))
}

func readReply(message []byte) ([]byte, error) {
	data, err := unpad(message)
	if err != nil || data[0] != 0 {
		return nil, errors.New("reply")
	}
	return data[1:], nil
}
