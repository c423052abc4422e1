// Finds and orders duplicate clusters; without it they stand by size and open all the same.
(function(){
var box=document.getElementById("find"),order=document.getElementById("order"),list=document.getElementById("clusters"),
found=document.getElementById("found"),all=Array.from(list.children);
document.getElementById("finder").hidden=false;
function plain(text){return text.normalize("NFC").toLowerCase()}
var texts=new Map(all.map(function(one){return [one,plain(one.textContent)]}));
function show(){
var words=plain(box.value).split(/\s+/).filter(Boolean),count=0;
all.forEach(function(one){
var hit=words.every(function(word){return texts.get(one).includes(word)});
one.hidden=!hit;count+=hit;
});
found.textContent=words.length?count+" / "+all.length:"";
}
function sort(){
var by=order.value;
all.slice().sort(function(a,b){return by==="size"?b.dataset.size-a.dataset.size:a.dataset.alike-b.dataset.alike})
.forEach(function(one){list.appendChild(one)});
}
box.addEventListener("input",show);order.addEventListener("change",sort);
})();
