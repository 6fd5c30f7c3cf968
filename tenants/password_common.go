package tenants

import "strings"

// commonWords are what people type when a form wants a password.
const commonWords = `password passwort passw0rd motdepasse contrasena senha parola wachtwoord admin administrator root
 superuser user username guest login welcome willkommen bienvenue letmein opensesame changeme default secret geheim
 master system server database test testing tester demo sample example temp temporary hello monkey dragon football
 soccer baseball basketball hockey superman batman spiderman pokemon starwars sunshine princess shadow summer winter
 spring autumn iloveyou loveyou love lovely sweetheart angel freedom whatever trustno trustme nothing computer internet
 google facebook apple microsoft windows linux android samsung mustang ferrari porsche mercedes chelsea liverpool
 arsenal barcelona juventus jessica michael jennifer jordan daniel thomas charlie andrew matthew ashley nicole amanda
 michelle cookie chocolate butterfly flower cheese pepper banana orange purple yellow silver golden diamond killer
 hunter ranger tigger buster ginger maggie hannah samantha access qwerty qwertz azerty asdfgh zxcvbn yxcvbn qazwsx
 tidewire pusher platform realtime websocket channel channels developer production staging company business office`

// keyboardRuns are walks over the keys; any piece of them is as easy.
const keyboardRuns = `qwertyuiopasdfghjklzxcvbnm qwertzuiopasdfghjklyxcvbnm azertyuiopqsdfghjklmwxcvbn
 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p qazwsxedcrfvtgbyhnujmikolp 1q2w3e4r5t6y7u8i9o0p zaqxswcdevfrbgtnhymjukilop
 q1w2e3r4t5y6u7i8o9p0 poiuytrewqlkjhgfdsamnbvcxz 0987654321234567890 1234567890987654321 abcdefghijklmnopqrstuvwxyz`

// commonPhrases are sentences that stand in every list of leaked passwords.
const commonPhrases = `correcthorsebatterystaple thequickbrownfox tobeornottobe iamtheone mynameis yourmother
 godisgood jesuschrist maytheforcebewithyou winteriscoming helloworld letmeinplease pleaseletmein ilovemymum
 ilovemydog donttellanyone thisismypassword thispassword mypasswordis nopassword`

// makeCommonPasswords puts the words and walks together as guessing programs do.
// It makes a few thousand entries, in lower case; [commonPassword] takes the
// usual endings off itself and looks for two entries in a row.
func makeCommonPasswords() map[string]struct{} {
	known := make(map[string]struct{}, 8_000)
	add := func(parts ...string) { known[strings.Join(parts, "")] = struct{}{} }
	for _, word := range strings.Fields(commonWords) {
		add(word)
		add(word, word)
		add(word, word, word)
		for _, with := range []string{"my", "the", "a", "new", "old", "super", "mega", "i", "ilove", "my-", "the-", "our", "is"} {
			add(with, word)
			add(word, with)
		}
	}
	for _, run := range strings.Fields(keyboardRuns) {
		for from := range run {
			for to := from + 4; to <= len(run); to++ {
				add(run[from:to])
			}
		}
	}
	for _, phrase := range strings.Fields(commonPhrases) {
		add(phrase)
	}
	return known
}
